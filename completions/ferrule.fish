# SPDX-License-Identifier: Apache-2.0
set -l commands save inspect verify config state-dict convert explain normalize diff id scan
complete -c ferrule -n "not __fish_seen_subcommand_from $commands" -f -a save -d 'Save adapters out of a state dict'
complete -c ferrule -n "not __fish_seen_subcommand_from $commands" -f -a inspect -d 'Show what is in an adapter, a file or a folder'
complete -c ferrule -n "not __fish_seen_subcommand_from $commands" -f -a verify -d 'Judge adapters and files'
complete -c ferrule -n "not __fish_seen_subcommand_from $commands" -f -a config -d 'Make, show or upgrade an adapter_config.json'
complete -c ferrule -n "not __fish_seen_subcommand_from $commands" -f -a state-dict -d 'Write the live keys of an adapter'
complete -c ferrule -n "not __fish_seen_subcommand_from $commands" -f -a convert -d "Write an adapter's weights in the other format"
complete -c ferrule -n "not __fish_seen_subcommand_from $commands" -f -a explain -d "Show the strength of each module"
complete -c ferrule -n "not __fish_seen_subcommand_from $commands" -f -a normalize -d "Write a LoRA as one that every engine reads the same"
complete -c ferrule -n "not __fish_seen_subcommand_from $commands" -f -a diff -d "Compare what two adapters do to a base"
complete -c ferrule -n "not __fish_seen_subcommand_from $commands" -f -a id -d "Print a content id"
complete -c ferrule -n "not __fish_seen_subcommand_from $commands" -f -a scan -d 'Tell what would run if files were unpickled'
complete -c ferrule -n "not __fish_seen_subcommand_from $commands" -l version -d 'Print the version'
complete -c ferrule -l help -d 'Print help'
complete -c ferrule -n '__fish_seen_subcommand_from save' -s o -l output -r -d 'Directory of the adapter'
complete -c ferrule -n '__fish_seen_subcommand_from save' -l config -r -d '[NAME=]FILE'
complete -c ferrule -n '__fish_seen_subcommand_from save' -l select -x -d 'Save only this adapter'
complete -c ferrule -n '__fish_seen_subcommand_from save convert' -l format -x -a 'safetensors bin'
complete -c ferrule -n '__fish_seen_subcommand_from save' -l embeddings -x -a 'auto always never'
complete -c ferrule -n '__fish_seen_subcommand_from save' -l initial -r -d 'Adapter as initialised'
complete -c ferrule -n '__fish_seen_subcommand_from save' -l base -r -d 'Base model'
complete -c ferrule -n '__fish_seen_subcommand_from save' -l model -r -d 'Facts of the live model'
complete -c ferrule -n '__fish_seen_subcommand_from save' -l dtype -x -a 'keep f32 bf16 f16'
complete -c ferrule -n '__fish_seen_subcommand_from save' -l no-card -d 'Write no README.md'
complete -c ferrule -n '__fish_seen_subcommand_from save convert normalize' -l durability -x -a 'fast safe full'
complete -c ferrule -n '__fish_seen_subcommand_from inspect' -l tensors -d 'List every tensor'
complete -c ferrule -n '__fish_seen_subcommand_from save inspect verify config convert explain normalize diff scan' -l json -d 'Print JSON'
complete -c ferrule -n '__fish_seen_subcommand_from config' -f -a 'new show upgrade'
complete -c ferrule -n '__fish_seen_subcommand_from config state-dict' -s o -l output -r -d 'File to write'
complete -c ferrule -n '__fish_seen_subcommand_from state-dict' -l adapter -x -d 'Name in the model'
complete -c ferrule -n '__fish_seen_subcommand_from convert normalize' -s o -l output -r -d 'Where it goes'
complete -c ferrule -n '__fish_seen_subcommand_from save inspect verify state-dict convert normalize' -l key -x -a 'state_dict model module' -d 'Where the state dict lies in a torch file'
complete -c ferrule -n '__fish_seen_subcommand_from explain' -l module -x -d 'Only modules that match'
complete -c ferrule -n '__fish_seen_subcommand_from normalize' -l rank -x -a 'uniform keep'
complete -c ferrule -n '__fish_seen_subcommand_from normalize' -l scale -x -a 'b a split'
complete -c ferrule -n '__fish_seen_subcommand_from normalize' -l for -x -d 'An engine that shall serve it'
complete -c ferrule -n '__fish_seen_subcommand_from diff' -l tensors -d 'List tensors, too'
