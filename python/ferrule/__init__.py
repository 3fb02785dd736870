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
    NetworkError,
    NotFoundError,
    PermissionDeniedError,
    SafetensorError,
    UnsupportedError,
)
from ._ferrule import (
    Adapter,
    AdapterConfig,
    AdapterSummary,
    AdapterTensor,
    Checkpoint,
    ContainerSummary,
    Finding,
    FolderSummary,
    Module,
    ModuleStrength,
    Progress,
    PullReport,
    PushReport,
    SafetensorsFile,
    TensorSummary,
    TensorTotals,
    VerifyReport,
    inspect,
    open,
    peft_types,
    peft_version,
    pull,
    push,
    verify,
)
from ._ferrule import version as __version__

#: PEFT's name for it.
push_to_hub = push

__all__ = [
    "Adapter",
    "AdapterConfig",
    "AdapterSummary",
    "AdapterTensor",
    "Checkpoint",
    "ContainerSummary",
    "CorruptError",
    "Error",
    "Finding",
    "FolderSummary",
    "InvalidArgumentError",
    "IoError",
    "LimitExceededError",
    "Module",
    "ModuleStrength",
    "NetworkError",
    "NotFoundError",
    "PermissionDeniedError",
    "Progress",
    "PullReport",
    "PushReport",
    "SafetensorError",
    "SafetensorsFile",
    "TensorSummary",
    "TensorTotals",
    "UnsupportedError",
    "VerifyReport",
    "__version__",
    "inspect",
    "open",
    "peft_types",
    "peft_version",
    "pull",
    "push",
    "push_to_hub",
    "verify",
]
