#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes src/merge/methods/wavelets_data.inc: the filters that PEFT's WaveFT takes its wavelets from.

    make_wavelets.py            run with a Python that has PEFT

They are the coefficients of PyWavelets (MIT license), as PEFT carries them.
"""
import math
import pathlib

import peft
from peft.tuners.waveft import wavelet
from peft.tuners.waveft.constants import WAVELET_REDUCTIONS

OUT = pathlib.Path(__file__).resolve().parent.parent / "src/merge/methods/wavelets_data.inc"


def main():
    lines = ["// SPDX-License-Identifier: Apache-2.0",
             f"// Made by tools/make_wavelets.py from PEFT {peft.__version__}, whose filters are PyWavelets' (MIT license). Do not edit.",
             "// clang-format off"]
    names = sorted(wavelet._WAVELET_COEFFS)
    for name in names:
        scale = math.sqrt(2) if name.startswith("coif") else 1.0
        values = ", ".join(repr(c * scale) for c in wavelet._WAVELET_COEFFS[name])
        lines.append(f"constexpr double k_{name}[] = {{{values}}};")
    lines.append("constexpr Wavelet kWavelets[] = {")
    for name in names:
        rows, columns = WAVELET_REDUCTIONS[name]
        assert rows == columns
        lines.append(f'    {{"{name}"sv, k_{name}, {rows}}},')
    lines.append("};")
    lines.append("// clang-format on")
    OUT.write_text("\n".join(lines) + "\n", encoding="utf-8")


main()
