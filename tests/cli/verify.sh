# Verdicts: 0 good, 1 bad, 2 usage, 3 the system; the worst of all paths counts.
try() { "$FERRULE" "$@"; echo "exit $?"; }
"$FERRULE" save "$DATA/../examples/quickstart/checkpoint-20" -o good --config "$DATA/../examples/quickstart/adapter_config.json" > /dev/null
try verify good good/adapter_model.safetensors good/adapter_config.json
try verify
try verify good --jsn
try verify good missing
try verify good "$DATA/malformed/ST-07-hole.safetensors" missing
try verify "$DATA"/malformed/ST-0[1-9]*.safetensors
mkdir config
for file in "$DATA"/malformed/CF-1[0-3]*.json "$DATA"/malformed/CF-2[0-2]*.json; do
  cp "$file" config/adapter_config.json
  try verify config/adapter_config.json
done
cp -r good rank
sed -i 's/"r": 4/"r": 8/' rank/adapter_config.json
try verify rank
try verify rank --json
cp -r good type
sed -i 's/"peft_type": "LORA"/"peft_type": "LOAR"/' type/adapter_config.json
try verify type
cp -r good other
sed -i 's/"peft_type": "LORA"/"peft_type": "IA3"/' other/adapter_config.json
try verify other
mkdir bare
try verify bare
cp good/adapter_config.json bare
try verify bare
cp good/adapter_model.safetensors bare/adapter_model.bin
try verify bare
printf '\x80\x02cos\nsystem\nX\x0c\x00\x00\x00touch marker\x85R.' > bare/adapter_model.bin
try verify bare
ls
cp good/README.md card.md
cp -r good card
printf -- '---\n[\n---\nmine\n' > card/README.md
try verify card
