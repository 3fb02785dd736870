# SPDX-License-Identifier: Apache-2.0
"""Saves, opens and verifies PEFT adapters natively.

    adapter = ferrule.open("my-adapter")
    tensors = adapter.state_dict("torch")

Importing this imports neither torch nor numpy.
"""

from ._errors import (
    CorruptError,
    Error,
    InvalidArgumentError,
    IoError,
    LimitExceededError,
    NotFoundError,
    PermissionDeniedError,
    UnsupportedError,
)
from ._ferrule import (
    Adapter,
    AdapterConfig,
    AdapterTensor,
    Finding,
    Module,
    ModuleStrength,
    VerifyReport,
    __version__,
    open,
    peft_types,
    peft_version,
    verify,
)

__all__ = [
    "Adapter",
    "AdapterConfig",
    "AdapterTensor",
    "CorruptError",
    "Error",
    "Finding",
    "InvalidArgumentError",
    "IoError",
    "LimitExceededError",
    "Module",
    "ModuleStrength",
    "NotFoundError",
    "PermissionDeniedError",
    "UnsupportedError",
    "VerifyReport",
    "__version__",
    "open",
    "peft_types",
    "peft_version",
    "verify",
]
