#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# onnxruntime 1.32.0, onnx 1.23.2, numpy 2.4.6, seen 2026-11-29.
#
# RunOptions.add_active_adapter() may be called more than once, and a run accepts several active adapters. If two of them have parameters of the same
# names, as two adapters of one model have, they are not added up and nothing fails: the one that was added first acts alone, and the second
# is ignored. A value that the caller feeds for such an input is ignored as well. Adapters with different names do act together, and a name that
# the graph lacks is an error.
#
# Seen: first alone 8, second alone 24, first then second 8, second then first 24, first with factors fed by the caller 8; unknown name: refused.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
WORK=$work "$work/env/bin/python" - <<'PYTHON'
import os

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

onnxruntime.set_default_logger_severity(4)
INPUTS = {"x": [None, 4], "lora_A": [4, None], "lora_B": [None, 3]}
nodes = [helper.make_node("MatMul", ["x", "lora_A"], ["low"]), helper.make_node("MatMul", ["low", "lora_B"], ["y"])]
graph = helper.make_graph(nodes, "lora", [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in INPUTS.items()],
                          [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 3])],
                          [numpy_helper.from_array(np.zeros((4, 0), np.float32), "lora_A"),
                           numpy_helper.from_array(np.zeros((0, 3), np.float32), "lora_B")])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
A, B = np.ones((4, 2), np.float32), np.ones((2, 3), np.float32)


def adapter(name, **parameters):
    path = os.path.join(os.environ["WORK"], name + ".onnx_adapter")
    file = onnxruntime.AdapterFormat()
    file.set_adapter_version(1)
    file.set_model_version(1)
    file.set_parameters({key: onnxruntime.OrtValue.ortvalue_from_numpy(value) for key, value in parameters.items()})
    file.export_adapter(path)
    loaded = onnxruntime.LoraAdapter()
    loaded.Load(path)
    return loaded


def run(*adapters, **fed):
    options = onnxruntime.RunOptions()
    for active in adapters:
        options.add_active_adapter(active)
    return float(session.run(None, {"x": np.ones((1, 4), np.float32), **fed}, options)[0][0, 0])


first, second = adapter("first", lora_A=A, lora_B=B), adapter("second", lora_A=3 * A, lora_B=B)
seen = [run(first), run(second), run(first, second), run(second, first), run(first, lora_A=5 * A, lora_B=B)]
print("first {}, second {}, both {}, both in the other order {}, with fed factors {}".format(*seen))
assert seen == [8.0, 24.0, 8.0, 24.0, 8.0], "two adapters act together now, or are refused"
assert run(adapter("a", lora_A=A), adapter("b", lora_B=B)) == 8.0, "adapters of different names no longer act together"
try:
    run(adapter("other", lora_A=A, lora_B=B, other=A))
except Exception as error:
    print("unknown name:", type(error).__name__)
else:
    raise SystemExit("changed: a parameter that the graph lacks is accepted")
PYTHON
