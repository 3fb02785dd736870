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
