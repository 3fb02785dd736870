# Patterns go, ranks are kept or made one, what cannot be expressed is refused.
CASES=$DATA/golden/cases
"$FERRULE" normalize "$CASES/lora/expected" -o plain; echo "exit $?"
"$FERRULE" explain plain | tail -n 1
"$FERRULE" diff "$CASES/lora/expected" plain | tail -n 1
"$FERRULE" normalize "$CASES/rankpat/expected" -o kept --rank keep --json | grep -v error
grep -A 4 _pattern kept/adapter_config.json
"$FERRULE" normalize plain -o plain --json | head -n 4
"$FERRULE" normalize "$CASES/lora_mts/expected" -o saved --for lmdeploy; echo "exit $?"
for name in ia3 lora_emb_dora lora_bias_all pissa_plain tp_one; do
  "$FERRULE" normalize "$CASES/$name/expected" -o refused; echo "exit $?"
done
"$FERRULE" normalize "$CASES/lora/expected" -o refused --for vlm; echo "exit $?"
"$FERRULE" normalize "$CASES/lora/expected" -o refused --scale c; echo "exit $?"
"$FERRULE" normalize missing -o refused; echo "exit $?"
ls
