# SPDX-License-Identifier: Apache-2.0
# Made by tools/make_command_docs.py.
# bash completion for ferrule
_ferrule() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command= words= options= files= i
  # bash makes a word of the "=" in --option=value.
  if [[ $current == "=" ]]; then
    current=
  elif [[ $previous == "=" ]] && ((COMP_CWORD > 2)); then
    previous=${COMP_WORDS[COMP_CWORD - 2]}
  fi
  for ((i = 1; i < COMP_CWORD; ++i)); do
    if [[ -z $command || " config " == *" $command "* ]] && [[ ${COMP_WORDS[i]} != -* ]]; then
      command="${command:+$command }${COMP_WORDS[i]}"
    fi
  done
  COMPREPLY=()
  case "$command $previous" in
    "save -o" | "save --output") files="-d" ;;
    "save --config") files="-f" ;;
    "save --select") return ;;
    "save --format") words="safetensors bin" ;;
    "save --embeddings") words="auto always never" ;;
    "save --dtype") words="keep f32 bf16 f16" ;;
    "save --durability") words="fast safe full" ;;
    "save --torch-key") words="state_dict model module" ;;
    "save --initial") files="-d" ;;
    "save --base") files="-f" ;;
    "save --facts") files="-f" ;;
    "save --push") return ;;
    "rescue -o" | "rescue --output") files="-d" ;;
    "rescue --config") files="-f" ;;
    "rescue --adapter") return ;;
    "rescue --prefer") words="master working" ;;
    "rescue --durability") words="fast safe full" ;;
    "assemble -o" | "assemble --output") files="-d" ;;
    "assemble --config") files="-f" ;;
    "assemble --adapter") return ;;
    "assemble --durability") words="fast safe full" ;;
    "inspect --memo") files="-f" ;;
    "inspect --base") return ;;
    "inspect --config") files="-f" ;;
    "inspect --torch-key") words="state_dict model module" ;;
    "config new -o" | "config new --output") files="-f" ;;
    "config upgrade -o" | "config upgrade --output") files="-f" ;;
    "state-dict -o" | "state-dict --output") files="-f" ;;
    "state-dict --adapter") return ;;
    "state-dict --torch-key") words="state_dict model module" ;;
    "verify --files-from") files="-f" ;;
    "verify --id") return ;;
    "verify --torch-key") words="state_dict model module" ;;
    "verify --jobs") return ;;
    "verify --resume") return ;;
    "verify --format") words="text json sarif" ;;
    "check --files-from") files="-f" ;;
    "check --base") files="-f" ;;
    "check --config") files="-f" ;;
    "check --engine") words="llama.cpp lmdeploy lorax mistral.rs mlx openvino sglang tensorrt-llm vllm" ;;
    "check --engines") files="-f" ;;
    "check --jobs") return ;;
    "check --resume") return ;;
    "check --format") words="text json sarif" ;;
    "explain --files-from") files="-f" ;;
    "explain --module") return ;;
    "explain --base") return ;;
    "explain --config") files="-f" ;;
    "diff --base") return ;;
    "diff --config") files="-f" ;;
    "diff --format") words="text json sarif" ;;
    "id --files-from") files="-f" ;;
    "id --jobs") return ;;
    "id --resume") return ;;
    "id --base") return ;;
    "id --config") files="-f" ;;
    "scan --files-from") files="-f" ;;
    "scan --allow") return ;;
    "scan --fail-on") words="dangerous unknown any" ;;
    "scan --jobs") return ;;
    "scan --resume") return ;;
    "scan --format") words="text json sarif" ;;
    "fix -o" | "fix --output") files="-d" ;;
    "fix --base") files="-f" ;;
    "fix --durability") words="fast safe full" ;;
    "normalize -o" | "normalize --output") files="-d" ;;
    "normalize --rank") words="uniform keep" ;;
    "normalize --scale") words="b a split" ;;
    "normalize --engine") words="llama.cpp lmdeploy lorax mistral.rs mlx openvino sglang tensorrt-llm vllm" ;;
    "normalize --engines") files="-f" ;;
    "normalize --base") return ;;
    "normalize --config") files="-f" ;;
    "normalize --torch-key") words="state_dict model module" ;;
    "normalize --durability") words="fast safe full" ;;
    "merge --base") return ;;
    "merge -o" | "merge --output") files="-d" ;;
    "merge --weight") return ;;
    "merge --rounding") words="peft once" ;;
    "merge --dtype") words="keep f32 bf16 f16" ;;
    "merge --threads") return ;;
    "merge --torch-key") words="state_dict model module" ;;
    "merge --durability") words="fast safe full" ;;
    "unmerge --base") return ;;
    "unmerge -o" | "unmerge --output") files="-d" ;;
    "unmerge --weight") return ;;
    "unmerge --rounding") words="peft once" ;;
    "unmerge --dtype") words="keep f32 bf16 f16" ;;
    "unmerge --threads") return ;;
    "unmerge --torch-key") words="state_dict model module" ;;
    "unmerge --durability") words="fast safe full" ;;
    "convert --files-from") files="-f" ;;
    "convert --jobs") return ;;
    "convert --resume") return ;;
    "convert -o" | "convert --output") return ;;
    "convert --to") words="safetensors bin peft per-expert fused-expert mlx kohya lycoris diffusers gguf adapterhub paddle torchtune litgpt mistral onnx keras" ;;
    "convert --from") words="peft per-expert fused-expert mlx kohya lycoris diffusers gguf adapterhub paddle torchtune litgpt mistral onnx lightning keras swift" ;;
    "convert --base") return ;;
    "convert --config") files="-f" ;;
    "convert --dtype") words="f32 f16 bf16 q8_0" ;;
    "convert --arch") return ;;
    "convert --drop") return ;;
    "convert --torch-key") words="state_dict model module" ;;
    "convert --durability") words="fast safe full" ;;
    "combine -o" | "combine --output") files="-d" ;;
    "combine --weight") return ;;
    "combine --method") words="cat svd linear ties dare_linear dare_ties magnitude_prune ties_svd dare_linear_svd dare_ties_svd magnitude_prune_svd" ;;
    "combine --rank") return ;;
    "combine --density") return ;;
    "combine --seed") return ;;
    "combine --report") files="-f" ;;
    "combine --threads") return ;;
    "combine --torch-key") words="state_dict model module" ;;
    "combine --durability") words="fast safe full" ;;
    "extract --base") return ;;
    "extract --tuned") return ;;
    "extract -o" | "extract --output") files="-d" ;;
    "extract --rank") return ;;
    "extract --energy") return ;;
    "extract --report") files="-f" ;;
    "extract --threads") return ;;
    "extract --durability") words="fast safe full" ;;
    "to-lora -o" | "to-lora --output") files="-d" ;;
    "to-lora --rank") return ;;
    "to-lora --max-error") return ;;
    "to-lora --base") return ;;
    "to-lora --report") files="-f" ;;
    "to-lora --threads") return ;;
    "to-lora --torch-key") words="state_dict model module" ;;
    "to-lora --durability") words="fast safe full" ;;
    "resize -o" | "resize --output") files="-d" ;;
    "resize --rank") return ;;
    "resize --energy") return ;;
    "resize --max-error") return ;;
    "resize --budget") return ;;
    "resize --report") files="-f" ;;
    "resize --threads") return ;;
    "resize --torch-key") words="state_dict model module" ;;
    "resize --durability") words="fast safe full" ;;
    "publish --keep") return ;;
    "publish --durability") words="fast safe full" ;;
    "push --revision") return ;;
    "push --include") return ;;
    "push --exclude") return ;;
    "push --commit-message") return ;;
    "push --commit-description") return ;;
    "pull --revision") return ;;
    "pull --cache-dir") files="-d" ;;
    "pull -o" | "pull --output") files="-d" ;;
  esac
  if [[ -z $words$files ]]; then
    case $command in
      "") options="--help --version" words="save rescue assemble inspect config state-dict verify check explain diff id scan fix normalize merge unmerge convert combine extract to-lora resize clean publish push pull help" ;;
      "save") options="--help --output --config --select --format --embeddings --dtype --durability --torch-key --initial --base --fingerprint --facts --push --no-card --plain-card --json" files="-f" ;;
      "rescue") options="--help --output --config --adapter --prefer --durability --json" ;;
      "assemble") options="--help --output --config --adapter --durability --json" files="-d" ;;
      "inspect") options="--help --tensors --memo --base --config --torch-key --json" files="-f" ;;
      "config") options="--help" words="new show upgrade" ;;
      "config new") options="--help --output --json" words="ADALORA ADAMSS ADAPTION_PROMPT BEFT BOFT C3A CARTRIDGE CPT DEFT DELORA FOURIERFT FROD GLORA GRALORA HIRA HRA IA3 LILY LN_TUNING LOHA LOKR LORA MISS MULTITASK_PROMPT_TUNING OFT OSF PEANUT POLY PREFIX_TUNING PROMPT_TUNING PSOFT PVERA P_TUNING RANDLORA ROAD SHADOW SHIRA SUPERTUNING TINYLORA TRAINABLE_TOKENS UNILORA VBLORA VERA WAVEFT XLORA" ;;
      "config show") options="--help --json" files="-f" ;;
      "config upgrade") options="--help --output --json" files="-f" ;;
      "state-dict") options="--help --output --adapter --torch-key --json" files="-d" ;;
      "verify") options="--help --files-from --values --id --quiet --all --torch-key --jobs --jsonl --resume --format --json" files="-f" ;;
      "check") options="--help --files-from --base --config --offline --values --engine --engines --allow-partial --all --jobs --jsonl --resume --format --json" files="-d" ;;
      "explain") options="--help --files-from --module --base --config --json" files="-d" ;;
      "diff") options="--help --tensors --exit-code --base --config --format --json" files="-d" ;;
      "id") options="--help --files-from --jobs --jsonl --resume --base --config --json" files="-d" ;;
      "scan") options="--help --files-from --allow --fail-on --quiet --jobs --jsonl --resume --format --json" files="-f" ;;
      "fix") options="--help --output --base --keep-going --durability --json" files="-d" ;;
      "normalize") options="--help --output --rank --scale --engine --engines --base --config --keep-going --torch-key --durability --json" files="-d" ;;
      "merge") options="--help --base --output --weight --rounding --dtype --threads --copy --in-place --resume --torch-key --durability --json" files="-d" ;;
      "unmerge") options="--help --base --output --weight --rounding --dtype --threads --copy --in-place --resume --torch-key --durability --json" files="-d" ;;
      "convert") options="--help --files-from --jobs --jsonl --resume --output --to --from --base --config --dtype --arch --drop --keep-going --torch-key --durability --json" ;;
      "combine") options="--help --output --weight --method --rank --density --seed --report --threads --torch-key --durability --json" files="-d" ;;
      "extract") options="--help --base --tuned --output --rank --energy --full-modules --report --threads --durability --json" ;;
      "to-lora") options="--help --output --rank --max-error --base --report --threads --torch-key --durability --json" files="-d" ;;
      "resize") options="--help --output --rank --energy --max-error --budget --report --threads --torch-key --durability --json" files="-d" ;;
      "clean") options="--help --json" files="-d" ;;
      "publish") options="--help --keep --durability --json" files="-d" ;;
      "push") options="--help --revision --private --allow-public --include --exclude --all --dry-run --create-pr --commit-message --commit-description --json" files="-d" ;;
      "pull") options="--help --revision --cache-dir --output --offline --json" ;;
      "help") options="--help --json" ;;
    esac
  fi
  # Options only where one was begun, or where nothing else can follow.
  if [[ $current == -* || -z $words$files ]]; then
    words=$options files=
  fi
  if [[ -n $words ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
  fi
  if [[ -n $files ]]; then
    local found
    mapfile -t found < <(compgen $files -- "$current")
    COMPREPLY+=("${found[@]}")
  fi
}
complete -o filenames -F _ferrule ferrule
