# Nothing is written, and nothing that was there is lost.
try() { "$FERRULE" "$@"; echo "exit $?"; }
"$FERRULE" save "$DATA/../examples/quickstart/checkpoint-20" -o good --config "$DATA/../examples/quickstart/adapter_config.json" > /dev/null
try convert
try convert good
try convert good -o out --format pickle 2>&1 | sed 's/ (choose from.*//'
try convert good -o out --fromat bin
try convert missing -o out
try convert missing -o out --json
mkdir empty
try convert empty -o out
cp good/adapter_config.json empty
try convert empty -o out
try convert good/adapter_model.safetensors -o out
touch file
try convert good -o file
cp -r good cut
head -c 3000 good/adapter_model.safetensors > cut/adapter_model.safetensors
try convert cut -o out --format bin
try convert cut -o cut --format bin
cp -r empty evil
printf '\x80\x02cos\nsystem\nX\x0c\x00\x00\x00touch marker\x85R.' > evil/adapter_model.bin
cp evil/adapter_model.bin before
try convert evil -o out
try convert evil -o evil --json
cmp before evil/adapter_model.bin && echo untouched
for file in TZ-11-crc PK-10-nested PK-15-sum; do
  [ -e "$DATA/malformed/$file.bin" ] || continue
  cp "$DATA/malformed/$file.bin" evil/adapter_model.bin
  try convert evil -o out
done
rm evil/adapter_model.bin
mkfifo evil/adapter_model.bin
try convert evil -o out
ls -A . evil
for option in "--dtype bf16" "--from kohya" "--drop bias" "--arch llama" "--config good/adapter_config.json"; do
  try convert good -o out $option 2>&1 | sed 's/^Try.*//'
done
