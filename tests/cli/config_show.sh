cat > config.json <<'END'
{"peft_type": "LORA", "r": 16, "lora_alpha": 32, "target_modules": ["q_proj"], "base_model_name_or_path": "org/base"}
END
"$FERRULE" config show config.json
"$FERRULE" config show config.json --json | head -n 4
"$FERRULE" config show missing.json; echo "exit $?"
printf '{"peft_type": "LORA", "r": 1.5}' > wrong.json
"$FERRULE" config show wrong.json; echo "exit $?"
mkfifo fifo
"$FERRULE" config show fifo; echo "exit $?"
ln -s loop loop
"$FERRULE" config show loop; echo "exit $?"
"$FERRULE" config show .; echo "exit $?"
