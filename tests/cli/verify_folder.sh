# A folder of adapters: the same ones that inspect finds, counted, and nothing is called good that was not opened.
try() { "$FERRULE" "$@"; echo "exit $?"; }
case=$DATA/golden/cases/lora/expected
mkdir -p store/.hidden store/1/2/3/4/5/6/7/8/9/10 outside
cp -r "$case" store/good
cp -r "$case" store/also
try verify store
cp "$case/adapter_model.safetensors" store/.hidden
cp "$case/adapter_config.json" store/1/2/3/4/5/6/7/8/9/10
head -c 1000 "$case/adapter_model.safetensors" > outside/adapter_model.safetensors
ln -s ../outside store/link
ln -s .. store/up
try verify store
try verify store -q 2> /dev/null
try inspect store 2> /dev/null | tail -n 2
try verify store store/good
printf '%s\n' store/good '' store/also | try verify --files-from -
try verify --files-from missing
# A stage of a save that was killed is not an adapter.
mkdir -p killed/.ferrule-0123456789abcdef/new
cp "$case/adapter_config.json" killed/.ferrule-0123456789abcdef/new
cp -r "$case" killed/good
try verify killed
try clean killed
ls -A killed
# Where the only adapter is.
mkdir -p run/checkpoint-12
cp "$case"/adapter_* run/checkpoint-12
try verify run
# A pin, and values.
id=$("$FERRULE" id store/good)
try verify store/good --id "$id"
cp -r "$DATA/golden/cases/rslora/expected" other
try verify other --id "$id" 2>&1 | cut -c 1-40
try verify store/good/adapter_config.json --id "$id" 2>&1 | cut -c 1-60
try verify store/good --id 123
try verify store/good --values
cp -r "$case" rank
sed -i 's/"r": 4/"r": 3/' rank/adapter_config.json
try verify rank --all
