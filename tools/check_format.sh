#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Checks that all C++ is laid out as .clang-format says: check_format.sh CLANG_FORMAT [ROOT]
set -euo pipefail
cd "${2:-$(dirname "${BASH_SOURCE[0]}")/..}"
find benchmarks capi cli examples fuzz include python/src src tests torch -name node_modules -prune -o \( -name '*.cpp' -o -name '*.hpp' -o -name '*.c' -o -name '*.h' \) -print0 |
  xargs -0 "$1" --dry-run --Werror
