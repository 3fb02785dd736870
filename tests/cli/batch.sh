# Many adapters: a bad one does not stop the others.
try() { "$FERRULE" "$@"; echo "exit $?"; }
case=$DATA/golden/cases/lora/expected
mkdir -p many/deep bad
cp -r "$case" many/a
cp -r "$case" many/deep/b
cp -r "$case" many/cut
head -c 1000 "$case/adapter_model.safetensors" > many/cut/adapter_model.safetensors
try id many/a many/cut many/deep/b
try convert many -o bins --to bin
try convert many -o bins --to bin --keep-going
find bins -type f | sort
try convert many -o again --keep-going --json | grep -v errno | head -n 12
try fix many -o fixed --keep-going
try normalize many -o normal --keep-going
find fixed normal -name '*.safetensors' | sort
try convert missing -o x --keep-going
