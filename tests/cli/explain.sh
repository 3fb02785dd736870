# Patterns, a filter, entries that no module follows, and what cannot be opened.
CASES=$DATA/golden/cases
"$FERRULE" explain "$CASES/rankpat/expected"; echo "exit $?"
"$FERRULE" explain "$CASES/rankpat/expected" --module 'layers.1.*v_proj' --json; echo "exit $?"
"$FERRULE" explain "$CASES/ia3/expected" --module '*.k_proj'; echo "exit $?"
mkdir idle
cp "$CASES/lora/expected/adapter_model.safetensors" idle
sed 's/"rank_pattern": {}/"rank_pattern": {"o_proj": 2}/' "$CASES/lora/expected/adapter_config.json" > idle/adapter_config.json
"$FERRULE" explain idle --module 'layers.0.*q_proj'; echo "exit $?"
"$FERRULE" explain idle --module nope; echo "exit $?"
"$FERRULE" explain missing; echo "exit $?"
mkdir empty
"$FERRULE" explain empty; echo "exit $?"
"$FERRULE" explain; echo "exit $?"
