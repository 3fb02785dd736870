# SPDX-License-Identifier: Apache-2.0
# bash completion for ferrule
_ferrule() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} words=
  COMPREPLY=()
  case $previous in
    --format) words="safetensors bin" ;;
    --embeddings) words="auto always never" ;;
    --dtype) words="keep f32 bf16 f16" ;;
    --rank) words="uniform keep" ;;
    --scale) words="b a split" ;;
    --key) words="state_dict model module" ;;
    --for) words="llama.cpp lmdeploy lorax mistral.rs mlx openvino sglang tensorrt-llm vllm" ;;
    --durability) words="fast safe full" ;;
  esac
  if [[ -n $words ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
    return
  fi
  if ((COMP_CWORD == 1)); then
    words="save inspect verify check fix explain normalize diff id config state-dict convert scan push pull --help --version"
  else
    case ${COMP_WORDS[1]} in
      save) words="--output --config --select --format --embeddings --initial --base --fingerprint --model --push --dtype --no-card --durability --key --json --help" ;;
      inspect) words="--tensors --key --json --help" ;;
      verify) words="--key --json --help" ;;
      check) words="--base --values --for --allow-partial --json --help" ;;
      fix) words="--output --base --durability --json --help" ;;
      scan) words="--json --help" ;;
      convert) words="--output --format --key --durability --json --help" ;;
      explain) words="--module --json --help" ;;
      normalize) words="--output --rank --scale --for --key --durability --json --help" ;;
      diff) words="--tensors --json --help" ;;
      id) words="--help" ;;
      config)
        if ((COMP_CWORD == 2)); then words="new show upgrade --help"; else words="--output --json --help"; fi
        ;;
      state-dict) words="--adapter --output --key --help" ;;
      push) words="--revision --private --allow-public --create-pr --commit-message --commit-description --json --help" ;;
      pull) words="--revision --cache-dir --output --offline --json --help" ;;
    esac
  fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
  if ((COMP_CWORD > 1)) && [[ $current != -* ]]; then
    local files
    mapfile -t files < <(compgen -f -- "$current")
    COMPREPLY+=("${files[@]}")
  fi
}
complete -o filenames -F _ferrule ferrule
