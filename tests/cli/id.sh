# The same in another container and spelling, another for another adapter.
CASES=$DATA/golden/cases
"$FERRULE" id "$CASES/lora/expected"
"$FERRULE" convert "$CASES/lora/expected" -o other --to bin > /dev/null
tr -d '\n ' < "$CASES/lora/expected/adapter_config.json" > other/adapter_config.json
"$FERRULE" id other
"$FERRULE" id "$CASES/loha/expected"; echo "exit $?"
"$FERRULE" id missing; echo "exit $?"
printf '{"peft_type": "LORA", "r": 3}' > other/adapter_config.json
"$FERRULE" id other 2> /dev/null; echo "exit $?"
"$FERRULE" id other --json; echo "exit $?"
"$FERRULE" id "$CASES/lora/expected" --json; echo "exit $?"
"$FERRULE" id; echo "exit $?"
