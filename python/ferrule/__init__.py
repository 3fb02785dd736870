# SPDX-License-Identifier: Apache-2.0
"""Saves, opens and verifies PEFT adapters natively.

    adapter = ferrule.open("my-adapter")
    tensors = adapter.state_dict("torch")

Importing this imports neither torch nor numpy.
"""

from typing import TYPE_CHECKING, Any

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
    BaseModel,
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

if TYPE_CHECKING:
    from ._reports import (
        CheckReport,
        ConvertReport,
        DiffReport,
        ExplainReport,
        FixReport,
        NormalizeReport,
        SaveReport,
    )
    from ._verbs import check, content_id, convert, diff, explain, fix, normalize, save

__all__ = [
    "Adapter",
    "AdapterConfig",
    "AdapterSummary",
    "AdapterTensor",
    "BaseModel",
    "CheckReport",
    "Checkpoint",
    "ContainerSummary",
    "ConvertReport",
    "CorruptError",
    "DiffReport",
    "Error",
    "ExplainReport",
    "Finding",
    "FixReport",
    "FolderSummary",
    "InvalidArgumentError",
    "IoError",
    "LimitExceededError",
    "Module",
    "ModuleStrength",
    "NetworkError",
    "NormalizeReport",
    "NotFoundError",
    "PermissionDeniedError",
    "Progress",
    "PullReport",
    "PushReport",
    "SafetensorError",
    "SafetensorsFile",
    "SaveReport",
    "TensorSummary",
    "TensorTotals",
    "UnsupportedError",
    "VerifyReport",
    "__version__",
    "check",
    "content_id",
    "convert",
    "diff",
    "explain",
    "fix",
    "inspect",
    "normalize",
    "open",
    "peft_types",
    "peft_version",
    "pull",
    "push",
    "push_to_hub",
    "save",
    "verify",
]

#: What is imported on first use, and from where: `import ferrule` stays fast.
_LAZY = {
    "CheckReport": "_reports",
    "ConvertReport": "_reports",
    "DiffReport": "_reports",
    "ExplainReport": "_reports",
    "FixReport": "_reports",
    "NormalizeReport": "_reports",
    "SaveReport": "_reports",
    "check": "_verbs",
    "content_id": "_verbs",
    "convert": "_verbs",
    "diff": "_verbs",
    "explain": "_verbs",
    "fix": "_verbs",
    "normalize": "_verbs",
    "save": "_verbs",
}


def __getattr__(name: str) -> Any:
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
