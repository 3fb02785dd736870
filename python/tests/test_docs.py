# SPDX-License-Identifier: Apache-2.0
"""Every Python snippet of the README and of the pages about Python runs, in a folder with an adapter of PEFT's.

Those that need the Hub run in hub/test_docs.py.
"""

import re
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT

PAGES = [ROOT / "README.md", ROOT / "docs/python.md", ROOT / "docs/safetensors.md"]


def snippets():
    for page in PAGES:
        text = page.read_text()
        for found in re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            line = text.count("\n", 0, found.start()) + 1
            if "me/my-adapter" in found.group(1):
                continue
            yield pytest.param(found.group(1), id=f"{page.name}:{line}")


@pytest.mark.parametrize("code", list(snippets()))
def test_a_snippet_runs(code, lora, tmp_path):
    shutil.copytree(lora, tmp_path / "my-adapter")
    subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=tmp_path, check=True)
