# Modules saved in full are carried along, and said to be (NM-9).
case=$DATA/golden/cases/lora_mts
cp -r "$case/expected" adapter
"$FERRULE" normalize adapter -o normal; echo "exit $?"
"$FERRULE" verify normal; echo "exit $?"
