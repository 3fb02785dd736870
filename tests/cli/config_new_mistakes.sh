# Each is a mistake of the command line: exit 2, with a suggestion.
try() { "$FERRULE" config new "$@"; echo "exit $?"; }
try LROA
try LORA lora_alhpa=3
try LORA r
try LORA =3
try LORA r=many
try
