# --key, wherever a torch file is opened whose state dict lies one level down.
try() { "$FERRULE" "$@"; echo "exit $?"; }
nested=$DATA/golden/torch/torch-2.13/nested.state_dict.pt
try verify "$nested"
try verify "$nested" --key state_dict
try verify "$nested" --key state_dct
try verify "$nested" --key epoch
try inspect "$nested"
try inspect "$nested" --key state_dict
try inspect "$nested" --key state_dict --json | sed -n 1,12p
# A file without a level above is asked for a key that it does not have.
try verify "$DATA/golden/torch/torch-2.13/tied.pt" --key state_dict
# The legacy format has it too.
try verify "$DATA/golden/torch/torch-1.13/nested_legacy.state_dict.pt" --key state_dict

# A checkpoint of a trainer, which has the state dict of the model under "model".
cp "$DATA/../examples/quickstart/adapter_config.json" .
python3 "$DATA/cli/nested_checkpoint.py" "$DATA/../examples/quickstart/checkpoint-20/model.safetensors" model > checkpoint.pt
try save checkpoint.pt -o lost --config adapter_config.json
try save checkpoint.pt -o mine --config adapter_config.json --key model
try save "$DATA/../examples/quickstart/checkpoint-20" -o theirs --config adapter_config.json > /dev/null
cmp mine/adapter_model.safetensors theirs/adapter_model.safetensors && echo same
ls

# An adapter whose weights are such a file.
mkdir odd
cp adapter_config.json odd
python3 "$DATA/cli/nested_checkpoint.py" mine/adapter_model.safetensors module > odd/adapter_model.bin
try verify odd
try verify odd --key module
try inspect odd --key module
try state-dict odd -o live.safetensors
try state-dict odd -o live.safetensors --key module
try convert odd -o plain
try convert odd -o plain --key module
cmp mine/adapter_model.safetensors plain/adapter_model.safetensors && echo same
mkdir folder
mv odd mine folder
try inspect folder --key module
