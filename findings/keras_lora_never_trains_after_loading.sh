#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# keras 3.15.1, torch 2.13.0, numpy 2.4.6, seen 2026-11-29.
#
# Keras saves a layer with enable_lora() as one kernel with the update added, and on loading sets both factors to zero, where a new layer has one
# random factor. With both at zero neither gets a gradient, so training goes on without an error and changes nothing. The BackupAndRestore callback,
# for runs that are interrupted, loads in the same way; there only the restored momentum of the lost factors moves the new ones, and the run ends
# elsewhere than an uninterrupted one.
#
# Seen, loss of epoch 5 and 10: uninterrupted 1.098, 0.953; loaded after epoch 5 1.075 in each of five epochs, all factors 0; resumed 1.056.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6 keras==3.15.1
WORK=$work KERAS_BACKEND=torch "$work/env/bin/python" - <<'PYTHON'
import os

import keras
import numpy

random = numpy.random.default_rng(0)
inputs = random.normal(size=(256, 16)).astype("float32")
targets = random.normal(size=(256, 4)).astype("float32")


def make_model():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((16,)), keras.layers.Dense(32, activation="relu", use_bias=False), keras.layers.Dense(4, use_bias=False)])
    for layer in model.layers:
        layer.enable_lora(4)
    model.compile(keras.optimizers.Adam(0.01), "mse")
    return model


def train(model, epochs, *callbacks):
    return model.fit(inputs, targets, epochs=epochs, batch_size=64, shuffle=False, verbose=0, callbacks=list(callbacks)).history["loss"]


class Interruption(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 4:
            raise KeyboardInterrupt


def norms(model):
    return [float(keras.ops.norm(factor)) for layer in model.layers for factor in (layer.lora_kernel_a, layer.lora_kernel_b)]


folder = os.environ["WORK"]
whole = train(make_model(), 10)
first = make_model()
train(first, 5)
first.save_weights(os.path.join(folder, "model.weights.h5"))
loaded = make_model()
loaded.load_weights(os.path.join(folder, "model.weights.h5"))
after = train(loaded, 5)
interrupted = make_model()
try:
    train(interrupted, 10, keras.callbacks.BackupAndRestore(os.path.join(folder, "backup")), Interruption())
except KeyboardInterrupt:
    pass
resumed = make_model()
rest = train(resumed, 10, keras.callbacks.BackupAndRestore(os.path.join(folder, "backup")))
show = lambda losses: " ".join(f"{loss:.3f}" for loss in losses)
print("uninterrupted", show(whole), "| after loading", show(after), "| resumed", show(rest), "| norms", norms(loaded), norms(resumed))
assert max(after) - min(after) < 1e-6 and norms(loaded) == [0, 0, 0, 0], "loaded factors are trained now"
assert whole[-1] < after[-1] - 0.05 and rest[-1] > whole[-1] + 0.05, "a resumed run ends as an uninterrupted one"
PYTHON
