# What a slip of the fingers or a broken file is answered with; nothing is written by any of it.
try() { "$FERRULE" "$@"; echo "exit $?"; }
cp -r "$DATA/../examples/quickstart/." .
try save
try save checkpoint-20
try save checkpoint-20 -o out
try save checkpoint-20 -o out --confg adapter_config.json
try save checkpoint-20 -o out --config missing.json
try save missing -o out --config adapter_config.json
try save checkpoint-20 -o out --config adapter_config.json --format safetensor
try save checkpoint-20 -o out --config adapter_config.json --dtype f61
try save checkpoint-20 -o out --config adapter_config.json --durability saef
try save checkpoint-20 -o out --config adapter_config.json --embeddings yes
try save checkpoint-20 -o out --config adapter_config.json --select other
try save checkpoint-20 -o out --config other=adapter_config.json
try save checkpoint-20 -o out --config other=adapter_config.json --json
try save checkpoint-20 -o out --config ../up=adapter_config.json
try save checkpoint-20 -o out --config a=adapter_config.json --config a=adapter_config.json
try save checkpoint-20 -o adapter_config.json --config adapter_config.json
sed 's/"LORA"/"LOAR"/' adapter_config.json > type.json
try save checkpoint-20 -o out --config type.json
sed 's/"r": 4/"r": 8/' adapter_config.json > rank.json
try save checkpoint-20 -o out --config rank.json
printf '[]' > page.json
try save checkpoint-20 -o out --config adapter_config.json --model missing.json
try save checkpoint-20 -o out --config adapter_config.json --model page.json
try save checkpoint-20 -o out --config adapter_config.json --base missing
try save checkpoint-20 -o out --config adapter_config.json --initial missing
printf '<!DOCTYPE html>' > page.safetensors
try save page.safetensors -o out --config adapter_config.json
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n' > model.safetensors
try save model.safetensors -o out --config adapter_config.json
try save checkpoint-20 "$DATA/malformed/PK-02-ext.bin" -o out --config adapter_config.json
ls
