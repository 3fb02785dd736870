# Both directions, beside and in place, several adapters of one folder.
try() { "$FERRULE" "$@"; echo "exit $?"; }
"$FERRULE" save "$DATA/../examples/quickstart/checkpoint-20" -o first --config "$DATA/../examples/quickstart/adapter_config.json" > /dev/null
echo mine > first/notes.txt
chmod 640 first/notes.txt
try convert first -o bin --format bin
ls bin
try verify bin
try convert bin -o back
cmp first/adapter_model.safetensors back/adapter_model.safetensors && echo same
cmp first/adapter_config.json back/adapter_config.json && cmp first/README.md back/README.md && cat back/notes.txt
# In place.
try convert back -o back --format bin --durability full
ls back
cmp bin/adapter_model.bin back/adapter_model.bin && echo same
try convert back -o back/ --json
ls back
cmp first/adapter_model.safetensors back/adapter_model.safetensors && echo same
# To the format it has already: the file is written anew.
try convert back -o back
# Adapters in folders below come along.
cp -r first all
cp -r bin all/style
mkdir all/other && echo x > all/other/file
try convert all -o all --format safetensors
find all | sort
try convert all -o copied --format bin --json
find copied | sort
