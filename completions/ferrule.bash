# SPDX-License-Identifier: Apache-2.0
# bash completion for ferrule
_ferrule() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} words=
  COMPREPLY=()
  case $previous in
    --format) words="safetensors bin" ;;
    --embeddings) words="auto always never" ;;
    --dtype) words="keep f32 bf16 f16" ;;
    --key) words="state_dict model module" ;;
    --durability) words="fast safe full" ;;
  esac
  if [[ -n $words ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
    return
  fi
  if ((COMP_CWORD == 1)); then
    words="save inspect verify config state-dict convert scan --help --version"
  else
    case ${COMP_WORDS[1]} in
      save) words="--output --config --select --format --embeddings --initial --base --model --dtype --no-card --durability --key --json --help" ;;
      inspect) words="--tensors --key --json --help" ;;
      verify) words="--key --json --help" ;;
      scan) words="--json --help" ;;
      convert) words="--output --format --key --durability --json --help" ;;
      config)
        if ((COMP_CWORD == 2)); then words="new show upgrade --help"; else words="--output --json --help"; fi
        ;;
      state-dict) words="--adapter --output --key --help" ;;
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
