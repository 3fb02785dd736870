# PEFT's defaults, the fields given, values as JSON, as Python and as lists of names.
"$FERRULE" config new IA3 target_modules=k_proj,v_proj feedforward_modules='["v_proj"]' \
  inference_mode=True task_type=CAUSAL_LM
