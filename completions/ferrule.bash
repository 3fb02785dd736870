# SPDX-License-Identifier: Apache-2.0
# bash completion for ferrule
_ferrule() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} words=
  COMPREPLY=()
  case $previous in
    --format) words="safetensors bin" ;;
    --embeddings) words="auto always never" ;;
    --dtype) words="keep f32 bf16 f16" ;;
    --durability) words="fast safe full" ;;
  esac
  if [[ -n $words ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
    return
  fi
  if ((COMP_CWORD == 1)); then
    words="save inspect verify config state-dict push pull --help --version"
  else
    case ${COMP_WORDS[1]} in
      save) words="--output --config --select --format --embeddings --initial --base --model --dtype --no-card --push --durability --json --help" ;;
      inspect) words="--tensors --json --help" ;;
      verify) words="--json --help" ;;
      config)
        if ((COMP_CWORD == 2)); then words="new show upgrade --help"; else words="--output --json --help"; fi
        ;;
      push) words="--revision --private --allow-public --create-pr --commit-message --commit-description --json --help" ;;
      pull) words="--revision --cache-dir --output --offline --json --help" ;;
      state-dict) words="--adapter --output --help" ;;
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
