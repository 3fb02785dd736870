printf 'cos\nsystem\n(S'"'"'true'"'"'\ntR.' > evil.txt
printf '\x80\x02}.' > good.pkl
printf 'configuration\nfile of mine\n' > notes.txt
printf '7z\xbc\xaf\x27\x1c' > wrapped.bin
"$FERRULE" scan evil.txt; echo "exit $?"
"$FERRULE" scan good.pkl notes.txt "$DATA/golden/torch/torch-2.13/tied.pt"; echo "exit $?"
"$FERRULE" scan .; echo "exit $?"
"$FERRULE" scan evil.txt --json
"$FERRULE" scan missing; echo "exit $?"
"$FERRULE" scan; echo "exit $?"
"$FERRULE" scan "$DATA/malformed/PK-02-ext.bin" "$DATA/malformed/TZ-08-gap.bin"; echo "exit $?"
mkfifo pipe
"$FERRULE" scan pipe; echo "exit $?"
ls
