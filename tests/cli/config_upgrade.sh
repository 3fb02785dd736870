# An old type is renamed; written to a file, the text has no trailing newline, as PEFT's own.
printf '{"peft_type": "BONE", "target_modules": ["q"], "bias": "none", "r": 8}' > old.json
"$FERRULE" config upgrade old.json -o new.json; echo "exit $?"
"$FERRULE" config show new.json
"$FERRULE" config upgrade new.json > printed.json
cmp <(cat new.json; echo) printed.json && tail -c 1 new.json
