# A folder of adapters, good and bad.
try() { "$FERRULE" "$@"; echo "exit $?"; }
mkdir -p store/deep/er store/empty
for name in b a deep/er/c; do
  "$FERRULE" save "$DATA/../examples/quickstart/checkpoint-20" -o "store/$name" --no-card --config "$DATA/../examples/quickstart/adapter_config.json" > /dev/null
done
try inspect store
mkdir store/no-weights store/no-config store/rank store/cut
cp store/a/adapter_config.json store/no-weights
cp store/a/adapter_model.safetensors store/no-config
cp store/a/adapter_model.safetensors store/rank
sed 's/"r": 4/"r": 8/' store/a/adapter_config.json > store/rank/adapter_config.json
cp store/a/adapter_config.json store/cut
head -c 3000 store/a/adapter_model.safetensors > store/cut/adapter_model.safetensors
try inspect store
try inspect store --json > store.json
tail -n 1 store.json
python3 - <<'P'
import json
text = open("store.json").read().rsplit("exit", 1)[0]
found = json.loads(text)
print({key: value for key, value in found.items() if key not in ("adapters", "dtypes")})
for adapter in found["adapters"]:
    print(adapter["path"], adapter["good"], [finding["rule"] for finding in adapter["findings"]])
P
try inspect store --memo memo > with; try inspect store > without; cmp with without
try inspect store --memo memo > with; cmp with without
try inspect store --memo missing/memo
try inspect store/empty
rm -r store/no-weights store/no-config store/rank store/cut
try verify store
try verify store/deep
