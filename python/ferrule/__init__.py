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
    AdapterTensor,
    BaseModel,
    Checkpoint,
    FileRange,
    Finding,
    MethodRole,
    Module,
    ModuleStrength,
    Progress,
    PublishedReader,
    SafetensorsFile,
    method_roles,
    peft_types,
    peft_version,
)
from ._ferrule import version as __version__

# Type checkers take it for typing's, whose import is a third of the time that `import ferrule` takes.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._examined import (
        AdapterSummary,
        ContainerSummary,
        FolderSummary,
        ScanHit,
        ScannedFile,
        ScanReport,
        TensorSummary,
        TensorTotals,
        VerifiedPath,
        VerifyReport,
    )
    from ._factor import (
        CombineReport,
        ExtractReport,
        FactoredModule,
        OtherTensor,
        ResizeReport,
        ToLoraReport,
        combine,
        extract,
        resize,
        to_lora,
    )
    from ._rescue import PublishReport, RescueReport, ShardReport, assemble, publish, publish_tensors, rescue, save_shard
    from ._merge import MergedFile, MergeReport, merge, unmerge
    from ._reports import (
        CheckReport,
        CleanReport,
        ConfigDiff,
        ConvertedAdapter,
        ConvertReport,
        DiffReport,
        ExchangeReport,
        ExplainedModule,
        ExplainReport,
        FixedAdapter,
        FixedProblem,
        FixReport,
        LeftOut,
        ModuleDiff,
        NormalizeReport,
        PatternUse,
        SavedAdapter,
        SaveReport,
        TensorDiff,
    )
    from ._transfers import PullReport, PushReport
    from ._verbs import (
        check,
        clean,
        content_id,
        convert,
        diff,
        explain,
        fix,
        inspect,
        normalize,
        open,
        pull,
        push,
        save,
        scan,
        verify,
    )
    from ._verbs import push as push_to_hub

__all__ = [
    "Adapter",
    "AdapterConfig",
    "AdapterSummary",
    "AdapterTensor",
    "BaseModel",
    "CheckReport",
    "Checkpoint",
    "CleanReport",
    "CombineReport",
    "ConfigDiff",
    "ContainerSummary",
    "ConvertReport",
    "ConvertedAdapter",
    "CorruptError",
    "DiffReport",
    "Error",
    "ExchangeReport",
    "ExplainReport",
    "ExplainedModule",
    "ExtractReport",
    "FactoredModule",
    "FileRange",
    "Finding",
    "FixReport",
    "FixedAdapter",
    "FixedProblem",
    "FolderSummary",
    "InvalidArgumentError",
    "IoError",
    "LeftOut",
    "LimitExceededError",
    "MergeReport",
    "MergedFile",
    "MethodRole",
    "Module",
    "ModuleDiff",
    "ModuleStrength",
    "NetworkError",
    "NormalizeReport",
    "NotFoundError",
    "OtherTensor",
    "PatternUse",
    "PermissionDeniedError",
    "Progress",
    "PublishReport",
    "PublishedReader",
    "PullReport",
    "PushReport",
    "RescueReport",
    "ResizeReport",
    "SafetensorError",
    "SafetensorsFile",
    "SaveReport",
    "SavedAdapter",
    "ScanHit",
    "ScanReport",
    "ScannedFile",
    "ShardReport",
    "TensorDiff",
    "TensorSummary",
    "TensorTotals",
    "ToLoraReport",
    "UnsupportedError",
    "VerifiedPath",
    "VerifyReport",
    "__version__",
    "assemble",
    "check",
    "clean",
    "combine",
    "content_id",
    "convert",
    "diff",
    "explain",
    "extract",
    "fix",
    "inspect",
    "merge",
    "method_roles",
    "normalize",
    "open",
    "peft_types",
    "peft_version",
    "publish",
    "publish_tensors",
    "pull",
    "push",
    "push_to_hub",
    "rescue",
    "resize",
    "save",
    "save_shard",
    "scan",
    "to_lora",
    "unmerge",
    "verify",
]

#: What is imported on first use, by the module it is from: `import ferrule` stays fast.
_LAZY = {
    name: module
    for module, names in {
        "_examined": "AdapterSummary ContainerSummary FolderSummary ScanHit ScannedFile ScanReport TensorSummary"
        " TensorTotals VerifiedPath VerifyReport",
        "_factor": "CombineReport ExtractReport FactoredModule OtherTensor ResizeReport ToLoraReport combine extract resize"
        " to_lora",
        "_rescue": "PublishReport RescueReport ShardReport assemble publish publish_tensors rescue save_shard",
        "_merge": "MergedFile MergeReport merge unmerge",
        "_transfers": "PullReport PushReport",
        "_reports": "CheckReport CleanReport ConfigDiff ConvertedAdapter ConvertReport DiffReport ExchangeReport ExplainedModule"
        " ExplainReport"
        " FixedAdapter FixedProblem FixReport LeftOut ModuleDiff NormalizeReport PatternUse SavedAdapter SaveReport"
        " TensorDiff",
        "_verbs": "check clean content_id convert diff explain fix inspect normalize open pull push save scan verify",
    }.items()
    for name in names.split()
}


def __getattr__(name: str) -> "Any":
    module = _LAZY.get(name)
    if name == "push_to_hub":  # PEFT's name for it.
        value = __getattr__("push")
    elif module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    else:
        import importlib

        value = getattr(importlib.import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> "list[str]":
    return sorted({*globals(), *_LAZY, "push_to_hub"})


for _class in (Adapter, AdapterConfig, AdapterTensor, BaseModel, Checkpoint, FileRange, Finding, MethodRole, Module, ModuleStrength,
               Progress, PublishedReader, SafetensorsFile):
    _class.__module__ = "ferrule"


del _class
