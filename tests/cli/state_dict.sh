# The live keys, as a PEFT model holds them.
try() { "$FERRULE" "$@"; echo "exit $?"; }
"$FERRULE" save "$DATA/../examples/quickstart/checkpoint-20" -o good --config "$DATA/../examples/quickstart/adapter_config.json" > /dev/null
try state-dict good -o live.safetensors
"$FERRULE" inspect live.safetensors --tensors | sed -n 6,9p
try state-dict good --adapter my.style -o live.safetensors
try state-dict good -o live.safetensors --json
try state-dict missing -o live.safetensors --json
try state-dict good
try state-dict
try state-dict good -o live.safetensors --adaptor x
try state-dict missing -o live.safetensors
try state-dict good -o missing/live.safetensors
try state-dict good -o good
mkdir bare
try state-dict bare -o live.safetensors
# A broken adapter is shown as it is, with what is wrong.
cp -r good rank
sed -i 's/"r": 4/"r": 8/' rank/adapter_config.json
try state-dict rank -o rank.safetensors
# What was written can be saved again: the same bytes.
"$FERRULE" state-dict good -o live.safetensors > /dev/null
"$FERRULE" save live.safetensors -o again --config good/adapter_config.json > /dev/null
cmp good/adapter_model.safetensors again/adapter_model.safetensors && echo same
ls
