# What save prints, in words and as JSON.
try() { "$FERRULE" "$@"; echo "exit $?"; }
case=$DATA/golden/cases
cp -r "$DATA/../examples/quickstart/." .
try save checkpoint-20 -o one --config adapter_config.json --json
try save checkpoint-20/model.safetensors -o one --config default=adapter_config.json --no-card --dtype bf16
ls one
stat -c %a one/adapter_model.safetensors one/adapter_config.json
try save checkpoint-20 -o one --config adapter_config.json --format bin
ls one
try save checkpoint-20 -o plain --config adapter_config.json --plain-card
grep '^#' plain/README.md
grep -ci 'ferrule ' plain/README.md
try save checkpoint-20 -o plain --config adapter_config.json --plain-card --no-card
rm -r plain
try save checkpoint-20 -o . --config adapter_config.json --embeddings always --durability fast
ls
# Two adapters in one state dict, one of them by choice, and a card that is kept.
two=$case/two_ia3
mkdir two && printf -- '---\nlicense: mit\n---\nMy words.\n' > two/README.md
try save "$two/state.safetensors" -o two --config default="$two/input_config/default.json" --config b="$two/input_config/b.json"
find two | sort
head -n 5 two/README.md
try save "$two/state.safetensors" -o chosen --config default="$two/input_config/default.json" --config b="$two/input_config/b.json" --select b --json
find chosen | sort
