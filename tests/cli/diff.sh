# Scaled by rsLoRA, the same, a module less, and mistakes.
CASES=$DATA/golden/cases
"$FERRULE" diff "$CASES/lora/expected" "$CASES/lora/expected" | tail -n 1
"$FERRULE" diff "$CASES/lora/expected" "$CASES/rslora/expected"; echo "exit $?"
"$FERRULE" diff "$CASES/lora_mts/expected" "$CASES/lora/expected" | grep -v "different" | grep -v "_proj  same"; echo "exit $?"
"$FERRULE" diff "$CASES/tp_one/expected" "$CASES/tp_one/expected" --tensors --json
mkdir bad
cp "$CASES/lora/expected/adapter_model.safetensors" bad
sed 's/"r": 4/"r": 3/' "$CASES/lora/expected/adapter_config.json" > bad/adapter_config.json
"$FERRULE" diff bad "$CASES/lora/expected" 2>&1 | head -n 1 | cut -c 1-40
"$FERRULE" diff "$CASES/lora/expected" bad --json 2> /dev/null > answer; echo "exit $?"
"$FERRULE" diff "$CASES/lora/expected" "$CASES/rslora/expected" --exit-code > /dev/null; echo "exit $?"
"$FERRULE" diff "$CASES/lora/expected" "$CASES/lora/expected" --exit-code > /dev/null; echo "exit $?"
"$FERRULE" diff "$CASES/lora/expected" missing; echo "exit $?"
"$FERRULE" diff "$CASES/lora/expected"; echo "exit $?"
