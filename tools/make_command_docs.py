#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the man page and the shell completions from what the command says of itself.

    make_command_docs.py FERRULE            writes man/ferrule.1 and completions/*
    make_command_docs.py FERRULE --check    exits 1 and prints the difference if a file is not current

FERRULE is the command; `ferrule help --json` lists its commands and options.
"""

import difflib
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LICENSE = "SPDX-License-Identifier: Apache-2.0"
MADE = "Made by tools/make_command_docs.py."


def words_of(argument) -> list:
    return argument["choices"] or argument["suggestions"]


def options_of(command) -> list:
    return [a for a in command["arguments"] if not a["positional"]]


def positional_of(command) -> list:
    return [a for a in command["arguments"] if a["positional"]]


def short_name(command) -> str:
    """ "config new" for "ferrule config new"."""
    return command["command"].removeprefix("ferrule").strip()


def is_parent(command, commands) -> bool:
    return any(other["command"].startswith(command["command"] + " ") for other in commands)


# --- man page (mdoc) ---------------------------------------------------------------------------

HEAD = r""".\" %s
.\" %s
.Dd November 24, 2026
.Dt FERRULE 1
.Os
.Sh NAME
.Nm ferrule
.Nd save, open and check PEFT adapters
.Sh SYNOPSIS
"""

DESCRIPTION = r""".Sh DESCRIPTION
.Nm
saves the adapters of a training checkpoint as PEFT's
.Fn save_pretrained
does, opens, checks and converts them, without torch and without Python.
Only
.Cm push ,
.Cm pull ,
.Cm save Fl -push
and
.Pa hf://
paths use the network, and no model is loaded.
"""

TAIL = r""".Sh ENVIRONMENT
.Bl -tag -width NO_COLOR
.It Ev NO_COLOR
If set and not empty, the output has no colors.
.El
.Sh EXIT STATUS
.Bl -tag -width Ds
.It 0
Good.
.It 1
The file is bad.
.It 2
The command line is not valid.
.It 3
The operating system, the network or a server refused.
.El
"""


def roff(text: str) -> str:
    text = text.replace("\\", r"\e").replace("-", r"\-")
    return "\\&" + text if text[:1] in (".", "'") else text


def quoted(text: str) -> str:
    """One argument of a macro."""
    text = text.replace("\\", r"\e").replace('"', '""')
    return f'"{text}"' if re.search(r'[^\w.:/=|*-]', text) or len(text) < 3 else text


def flags(argument) -> str:
    value = f" Ar {quoted(argument['value'])}" if argument["kind"] != "flag" else ""
    return ", ".join(f"Fl {quoted(spelling[1:])}" for spelling in argument["spellings"]).replace(", ", " , ") + value


def synopsis(command) -> str:
    lines = [".Nm"]
    if name := short_name(command):
        lines.append(f".Cm {name}")
    for argument in positional_of(command):
        word = quoted(argument["value"]) + (" ..." if argument["repeatable"] else "")
        lines.append(f".Ar {word}" if argument["required"] else f".Op Ar {word}")
    for argument in sorted(options_of(command), key=lambda a: not a["required"]):
        flag = f"Fl {quoted(argument['spellings'][0][1:])}"
        flag += f" Ar {quoted(argument['value'])}" if argument["kind"] != "flag" else ""
        lines.append(f".{flag}" if argument["required"] else f".Op {flag}")
    return "\n".join(lines) + "\n"


def paragraphs(text: str) -> str:
    """Wrapped paragraphs; lines that start with a space are shown as they are."""
    out = ""
    for block in re.split(r"\n\n", text):
        literal = False
        out += ".Pp\n"
        for line in block.split("\n"):
            if line.startswith(" ") != literal:
                literal = not literal
                out += ".Bd -literal -offset indent -compact\n" if literal else ".Ed\n"
            out += roff(line.strip()) + "\n"
        out += ".Ed\n" if literal else ""
    return out


def section(command) -> str:
    text = f".Ss {short_name(command)}\n{roff(command['summary'])}.\n"
    if command["about"]:
        text += paragraphs(command["about"])
    if command["arguments"]:
        text += ".Bl -tag -width Ds\n"
        for argument in positional_of(command):
            text += f".It Ar {quoted(argument['value'])}\n{roff(argument['help'])}.\n"
        for argument in options_of(command):
            note = " May be repeated." if argument["repeatable"] else ""
            text += f".It {flags(argument)}\n{roff(argument['help'])}.{note}\n"
        text += ".El\n"
    return text


def man_page(commands) -> str:
    leaves = [c for c in commands if not is_parent(c, commands)]
    text = HEAD % (LICENSE, MADE) + "".join(synopsis(c) for c in leaves) + DESCRIPTION
    text += "".join(section(c) for c in commands if short_name(c))
    return text + TAIL


# --- bash --------------------------------------------------------------------------------------

BASH = r"""# %s
# %s
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
    if [[ -z $command || " %s " == *" $command "* ]] && [[ ${COMP_WORDS[i]} != -* ]]; then
      command="${command:+$command }${COMP_WORDS[i]}"
    fi
  done
  COMPREPLY=()
  case "$command $previous" in
%s  esac
  if [[ -z $words$files ]]; then
    case $command in
%s    esac
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
"""


def bash(commands) -> str:
    values, lists = "", ""
    parents = [short_name(c) for c in commands if short_name(c) and is_parent(c, commands)]
    for command in commands:
        name = short_name(command)
        for option in options_of(command):
            if option["kind"] == "flag":
                continue
            pattern = " | ".join(f'"{name} {spelling}"' for spelling in option["spellings"])
            if words_of(option):
                values += f'    {pattern}) words="{" ".join(words_of(option))}" ;;\n'
            elif option["kind"] in ("path", "directory"):
                values += f'    {pattern}) files="{"-d" if option["kind"] == "directory" else "-f"}" ;;\n'
            else:
                values += f"    {pattern}) return ;;\n"
        options = ["--help"] if name else ["--help", "--version"]
        options += [option["spellings"][-1] for option in options_of(command)]
        inner = [short_name(c).split()[-1] for c in commands
                 if short_name(c).split()[:-1] == name.split() and short_name(c)]
        words = inner + [word for argument in positional_of(command) for word in words_of(argument)]
        kinds = {a["kind"] for a in positional_of(command)}
        files = "-f" if "path" in kinds else "-d" if "directory" in kinds else ""
        lists += f'      "{name}") options="{" ".join(options)}"'
        lists += (f' words="{" ".join(words)}"' if words else "") + (f' files="{files}"' if files else "") + " ;;\n"
    return BASH % (LICENSE, MADE, " ".join(parents), values, lists)


# --- zsh ---------------------------------------------------------------------------------------


def zsh_text(text: str) -> str:
    text = text.replace("[", "(").replace("]", ")").replace(":", "\\:")
    return text.replace("'", "'\\''")


def zsh_value(argument) -> str:
    name = re.sub(r"[^A-Za-z_]", " ", argument["value"] if not argument["choices"] else "word").strip().lower()
    if words_of(argument):
        return f":{name}:({' '.join(words_of(argument))})"
    return f":{name}:" + {"path": "_files", "directory": "_files -/"}.get(argument["kind"], "")


def zsh_arguments(command) -> list:
    specs = []
    for argument in command["arguments"]:
        if argument["positional"]:
            specs.append(f"'{'*' if argument['repeatable'] else ''}{zsh_value(argument)}'")
            continue
        spellings = argument["spellings"]
        star = "*" if argument["repeatable"] else ""
        value = "" if argument["kind"] == "flag" else zsh_value(argument)
        text = f"[{zsh_text(argument['help'])}]{value}"
        if len(spellings) > 1 and not star:
            specs.append(f"'({' '.join(spellings)})'{{{','.join(spellings)}}}'{text}'")
        else:
            specs.append(f"'{star}{spellings[-1]}{text}'")
    return specs + ["'(-h --help)'{-h,--help}'[Print this help]'"]


def zsh(commands) -> str:
    def described(parent):
        depth = len(parent["command"].split()) + 1
        rows = [c for c in commands
                if c["command"].startswith(parent["command"] + " ") and len(c["command"].split()) == depth]
        return "\n".join(f"    '{c['command'].split()[-1]}:{zsh_text(c['summary'])}'" for c in rows)

    def function(name):
        return "_ferrule" + ("_" + name.replace(" ", "_").replace("-", "_") if name else "")

    text = f"#compdef ferrule\n# {LICENSE}\n# {MADE}\n"
    for command in commands:
        name = short_name(command)
        text += f"\n{function(name)}() {{\n"
        if is_parent(command, commands):
            text += "  local line state\n  local -a commands\n  commands=(\n" + described(command) + "\n  )\n"
            version = "" if name else " '(-V --version)'{-V,--version}'[Print the version]'"
            text += f"  _arguments -C '(-h --help)'{{-h,--help}}'[Print this help]'{version} '1: :->command' '*:: :->rest'\n"
            text += "  case $state in\n    command) _describe command commands ;;\n"
            text += f"    rest) (( $+functions[{function(name)}_${{line[1]//-/_}}] )) && {function(name)}_${{line[1]//-/_}} ;;\n  esac\n"
        else:
            specs = " \\\n    ".join(zsh_arguments(command))
            text += f"  _arguments \\\n    {specs}\n"
        text += "}\n"
    return text + '\n_ferrule "$@"\n'


# --- fish --------------------------------------------------------------------------------------


def fish(commands) -> str:
    def quote(text):
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

    text = f"# {LICENSE}\n# {MADE}\n"
    root = commands[0]
    top = [c for c in commands if len(c["command"].split()) == 2]
    names = " ".join(short_name(c) for c in top)
    text += f"set -l commands {names}\n"
    text += "complete -c ferrule -f\n"
    text += "complete -c ferrule -s h -l help -d 'Print this help'\n"
    nothing_yet = '"not __fish_seen_subcommand_from $commands"'
    text += f"complete -c ferrule -n {nothing_yet} -s V -l version -d 'Print the version'\n"
    for command in top:
        text += f"complete -c ferrule -n {nothing_yet} -a {short_name(command)} -d {quote(command['summary'])}\n"
    for command in commands:
        if command is root:
            continue
        name = short_name(command)
        condition = quote("; and ".join(f"__fish_seen_subcommand_from {word}" for word in name.split()))
        inner = [c for c in commands if short_name(c).split()[:-1] == name.split()]
        if inner:
            words = " ".join(short_name(c).split()[-1] for c in inner)
            condition = quote(f"__fish_seen_subcommand_from {name}; and not __fish_seen_subcommand_from {words}")
            for one in inner:
                text += f"complete -c ferrule -n {condition} -a {short_name(one).split()[-1]} -d {quote(one['summary'])}\n"
        for argument in command["arguments"]:
            if argument["positional"]:
                if words_of(argument):
                    text += f"complete -c ferrule -n {condition} -a {quote(' '.join(words_of(argument)))}\n"
                elif argument["kind"] in ("path", "directory"):
                    text += f"complete -c ferrule -n {condition} -F\n"
                continue
            line = f"complete -c ferrule -n {condition}"
            for spelling in argument["spellings"]:
                line += f" -l {spelling[2:]}" if spelling.startswith("--") else f" -s {spelling[1:]}"
            if words_of(argument):
                line += f" -x -a {quote(' '.join(words_of(argument)))}"
            elif argument["kind"] in ("path", "directory"):
                line += " -r -F"
            elif argument["kind"] != "flag":
                line += " -x"
            text += f"{line} -d {quote(argument['help'])}\n"
    return text


def main() -> int:
    document = subprocess.run([sys.argv[1], "help", "--json"], check=True, capture_output=True, text=True).stdout
    commands = json.loads(document)["commands"]
    files = {
        "man/ferrule.1": man_page(commands),
        "completions/ferrule.bash": bash(commands),
        "completions/_ferrule": zsh(commands),
        "completions/ferrule.fish": fish(commands),
    }
    failed = False
    for name, text in files.items():
        path = ROOT / name
        if "--check" not in sys.argv[2:]:
            path.write_text(text, encoding="utf-8")
            continue
        stored = path.read_text(encoding="utf-8")
        if stored != text:
            failed = True
            sys.stdout.writelines(difflib.unified_diff(
                stored.splitlines(True), text.splitlines(True), f"{name} (stored)", f"{name} (made)"))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
