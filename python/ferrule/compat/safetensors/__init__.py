# SPDX-License-Identifier: Apache-2.0
"""safetensors 0.8 done natively: the same names, signatures, exceptions and bytes.

    from ferrule.compat import safetensors
    from ferrule.compat.safetensors.torch import load_file
"""

from ._safetensors_rust import (
    SafetensorError,
    TensorSpec,
    __version__,
    _safe_open_handle,
    deserialize,
    safe_open,
    serialize,
    serialize_file,
)

__all__ = [
    "SafetensorError",
    "TensorSpec",
    "__version__",
    "_safe_open_handle",
    "deserialize",
    "safe_open",
    "serialize",
    "serialize_file",
]
