#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# safetensors 0.8.0: with no tensors and an empty (not absent) metadata dict, save() writes a header
# that load() refuses: the empty object is closed before the metadata is written. With metadata=None,
# or with at least one tensor, the result loads.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet safetensors==0.8.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy
from safetensors import SafetensorError
from safetensors.numpy import load, save

assert load(save({}, None)) == {}
assert list(load(save({"a": numpy.zeros(1)}, {}))) == ["a"]
written = save({}, {})
print("safetensors 0.8.0: save({}, metadata={}) writes", written)
try:
    load(written)
except SafetensorError as error:
    print("and load() refuses it:", error)
else:
    raise SystemExit("changed: load() now reads what save({}, metadata={}) writes")
PYTHON
