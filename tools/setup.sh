# SPDX-License-Identifier: Apache-2.0
# Sourced by ./quickstart and ./test: installs what is missing, quickly where nothing is.
# shellcheck shell=bash

say() { printf '\n\033[1m%s\033[0m\n' "$*" | if [[ -t 1 ]]; then cat; else sed 's/\x1b\[[0-9]*m//g'; fi; }

as_root() {
  if [[ $(id -u) -eq 0 ]]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    echo "These packages are missing, and this is neither root nor is there sudo: $*" >&2
    return 1
  fi
}

# need PACKAGE...: installs those of the distribution's packages that are missing.
need() {
  local package missing=()
  if ! command -v dpkg-query >/dev/null; then
    echo "No Debian or Ubuntu: make sure that these are installed: $*" >&2
    return 0
  fi
  for package in "$@"; do
    [[ $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) == "install ok installed" ]] || missing+=("$package")
  done
  [[ ${#missing[@]} -gt 0 ]] || return 0
  say "Installing ${missing[*]}"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
}

need_build_tools() {
  need g++ cmake ninja-build pkg-config nlohmann-json3-dev libpcre2-dev libyaml-cpp-dev libdeflate-dev libeigen3-dev libssl-dev libcurl4-openssl-dev
}

# need_python: .venv with the pinned reference programs.
need_python() {
  local stamp
  stamp=$(sha256sum tools/requirements-test.txt | cut -d ' ' -f 1)
  [[ $(cat .venv/.stamp 2>/dev/null) != "$stamp" ]] || return 0
  need python3 python3-dev python3-venv
  say "Installing the reference programs (torch, PEFT, ...) into .venv"
  rm -rf .venv
  python3 -m venv .venv
  # The plain file of some registries brings gigabytes for GPUs that no test uses.
  local torch
  torch=$(grep '^torch==' tools/requirements-test.txt)
  local install=(.venv/bin/python -m pip install -q --disable-pip-version-check --no-compile)
  "${install[@]}" "$torch+cpu" 2>/dev/null || "${install[@]}" "$torch"
  "${install[@]}" -r tools/requirements-test.txt
  # pip would compile on one core, and the packages' own tests too, of which a few are not meant to compile.
  .venv/bin/python -m compileall -q -j 0 -x '/tests?/' .venv/lib >/dev/null || true
  echo "$stamp" >.venv/.stamp
}

# find_old_torch: Debian's python3-torch (1.13), installed where apt has it.
find_old_torch() {
  if ! /usr/bin/python3 -c 'import torch' 2>/dev/null; then
    apt-cache show python3-torch >/dev/null 2>&1 || return 1
    need python3-torch || return 1
  fi
  /usr/bin/python3 -c 'import torch' 2>/dev/null
}

# need_javascript: the pinned JavaScript client of the Hub, koffi, and the linter of workflow files, for the node of .venv.
need_javascript() {
  local stamp folder
  for folder in tests/hub/js tests/capi/js tools/workflows; do
    stamp=$(sha256sum $folder/package-lock.json | cut -d ' ' -f 1)
    [[ $(cat $folder/node_modules/.stamp 2>/dev/null) != "$stamp" ]] || continue
    say "Installing the JavaScript packages of $folder"
    (cd $folder && "$OLDPWD/.venv/bin/npm" ci --no-audit --no-fund --silent)
    echo "$stamp" >$folder/node_modules/.stamp
  done
}
