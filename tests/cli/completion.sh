# What bash offers: commands, options, choices, and files only where a path is expected.
source "$DATA/../completions/ferrule.bash"
mkdir -p my-adapter other && touch model.safetensors
complete_words() {
  COMP_WORDS=("$@"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMPREPLY=()
  _ferrule
  echo "$*| ${COMPREPLY[*]}"
}
complete_words ferrule n
complete_words ferrule check ''
complete_words ferrule help ''
complete_words ferrule --v
complete_words ferrule config ''
complete_words ferrule config new LO
complete_words ferrule config show --
complete_words ferrule convert a --to ''
complete_words ferrule convert a --to = s
complete_words ferrule check a --base ''
complete_words ferrule check a --base = mo
complete_words ferrule check a --engine m
complete_words ferrule save -o ''
complete_words ferrule save mod
complete_words ferrule verify --t
complete_words ferrule diff my-adapter o
