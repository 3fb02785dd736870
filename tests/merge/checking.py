# SPDX-License-Identifier: Apache-2.0
"""Counts what the programs of this folder check. Each begins with the path of `ferrule` as its first argument."""
import os
import subprocess
import sys

FERRULE = os.path.abspath(sys.argv[1])
_failures = []
_checks = 0


def check(ok, what):
    global _checks
    _checks += 1
    if not ok:
        _failures.append(what)
        print("FAIL", what, flush=True)


def run(*words, code=0, **env):
    """`ferrule` with these words; its exit code is a check."""
    done = subprocess.run([FERRULE, *words], capture_output=True, text=True, check=False, env={**os.environ, **env})
    check(done.returncode == code, f"{words}: exit {done.returncode}, want {code}: {done.stderr[:300]}")
    return done


def finish():
    """Ends the program: 1 if a check failed, or none was made."""
    print(f"{_checks} checks, {len(_failures)} failures")
    sys.exit(bool(_failures) or _checks == 0)
