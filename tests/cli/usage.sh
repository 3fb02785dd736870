try() { "$FERRULE" "$@"; echo "exit $?"; }
try --version
try --verison
try confg
try config nwe
try config new LORA --otput x
try config show
"$FERRULE" --help | tail -n 1
"$FERRULE" > /dev/null 2>&1; echo "exit $?"
"$FERRULE" config new LORA > /dev/full; echo "exit $?"
"$FERRULE" config new LORA | true; echo "exit ${PIPESTATUS[0]}"
try -V
try help verify
try help config show
try help nope
try verify --json
try verify --jsn --json
try config show --json
try config new LOAR --json
try verify -- --json
try check adapter --base=base --engine=vlm --allow-partail
try check --base
try check a --base b --base c
try pull me/x -o out --cache-dir cache
try save x -o y --config z --fingerprint
try inspect a b --tensors=yes
try convert a -ob --to pickle 2>&1 | sed 's/ (choose from.*//'
try --json
