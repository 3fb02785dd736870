# SPDX-License-Identifier: Apache-2.0
"""The programs beside huggingface_hub that the tests run."""
import json
import pathlib
import sys

from conftest import HERE

NODE = pathlib.Path(sys.executable).parent / "node"


def javascript(stage, verb, *arguments, check=True, **env):
    """js/client.mjs: its answer."""
    done = stage.run(NODE, HERE / "js" / "client.mjs", verb, *arguments, env=stage.env(**env), check=check)
    return json.loads(done.out.strip().splitlines()[-1]) if check else done


def git(stage, *arguments, cwd):
    filters = ["-c", "filter.lfs.smudge=git-lfs smudge -- %f", "-c", "filter.lfs.process=git-lfs filter-process",
               "-c", "filter.lfs.clean=git-lfs clean -- %f", "-c", "filter.lfs.required=true"]
    return stage.run("git", *filters, *arguments, cwd=cwd, check=True)
