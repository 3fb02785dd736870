# An adapter, files, and what only looks like one.
try() { "$FERRULE" "$@"; echo "exit $?"; }
"$FERRULE" save "$DATA/../examples/quickstart/checkpoint-20" -o my-adapter --config "$DATA/../examples/quickstart/adapter_config.json" > /dev/null
try inspect my-adapter --tensors
try inspect my-adapter --json
try inspect my-adapter/adapter_model.safetensors --tensors --json | head -n 40
try inspect "$DATA/golden/torch/torch-2.13/dtypes.pt" --tensors
try inspect "$DATA/golden/torch/torch-1.13/dtypes_legacy.pt"
try inspect my-adapter/adapter_config.json
try inspect missing
try inspect
try inspect my-adapter --tensor
try inspect my-adapter/ --jsno
: > empty.safetensors
try inspect empty.safetensors
printf '\x1f\x8b\x08rest' > zipped.safetensors
try inspect zipped.safetensors
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n' > pointer.bin
try inspect pointer.bin --json
printf '<!DOCTYPE html><html>' > page.bin
try inspect page.bin
printf '\x80\x02}.' > plain.pkl
try inspect plain.pkl
mkfifo pipe
try inspect pipe
ln -s loop loop
try inspect loop
try inspect /dev/null
