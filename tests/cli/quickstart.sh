# The main job, as ./quickstart does it.
cp -r "$DATA/../examples/quickstart" example
"$FERRULE" save example/checkpoint-20 -o my-adapter --config example/adapter_config.json
echo "exit $?"
"$FERRULE" inspect my-adapter
"$FERRULE" verify my-adapter
"$FERRULE" state-dict my-adapter --adapter style -o live.safetensors
"$FERRULE" inspect live.safetensors --tensors | head -n 9
ls my-adapter
