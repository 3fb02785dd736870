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
    WrongTypeError,
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

    from ._factor import combine, extract, resize, to_lora
    from ._merge import merge, unmerge
    from ._reports._check import CheckReport
    from ._reports._clean import CleanReport
    from ._reports._convert import ConvertedAdapter, ConvertReport, ExchangeReport, NormalizeReport
    from ._reports._diff import ConfigDiff, DiffReport, ModuleDiff, TensorDiff
    from ._reports._explain import ExplainedModule, ExplainReport, PatternUse
    from ._reports._factor import CombineReport, ExtractReport, FactoredModule, OtherTensor, ResizeReport, ToLoraReport
    from ._reports._fix import FixedAdapter, FixedProblem, FixReport
    from ._reports._inspect import AdapterSummary, ContainerSummary, FolderSummary, TensorSummary, TensorTotals
    from ._reports._merge import MergedFile, MergeReport
    from ._reports._rescue import PublishReport, RescueReport, ShardReport
    from ._reports._save import LeftOut, SavedAdapter, SaveReport
    from ._reports._scan import ScanHit, ScannedFile, ScanReport
    from ._reports._state_dict import StateDictReport
    from ._reports._transfer import PullReport, PushReport
    from ._reports._verify import VerifiedPath, VerifyReport
    from ._rescue import assemble, publish, publish_tensors, rescue, save_shard
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
        state_dict,
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
    "StateDictReport",
    "TensorDiff",
    "TensorSummary",
    "TensorTotals",
    "ToLoraReport",
    "UnsupportedError",
    "VerifiedPath",
    "VerifyReport",
    "WrongTypeError",
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
    "state_dict",
    "to_lora",
    "unmerge",
    "verify",
]

#: What is imported on first use, by the module it is from: `import ferrule` stays fast.
_LAZY = {
    name: module
    for module, names in {
        "_factor": "combine extract resize to_lora",
        "_merge": "merge unmerge",
        "_reports._check": "CheckReport",
        "_reports._clean": "CleanReport",
        "_reports._convert": "ConvertedAdapter ConvertReport ExchangeReport NormalizeReport",
        "_reports._diff": "ConfigDiff DiffReport ModuleDiff TensorDiff",
        "_reports._explain": "ExplainedModule ExplainReport PatternUse",
        "_reports._factor": "CombineReport ExtractReport FactoredModule OtherTensor ResizeReport ToLoraReport",
        "_reports._fix": "FixedAdapter FixedProblem FixReport",
        "_reports._inspect": "AdapterSummary ContainerSummary FolderSummary TensorSummary TensorTotals",
        "_reports._merge": "MergedFile MergeReport",
        "_reports._rescue": "PublishReport RescueReport ShardReport",
        "_reports._save": "LeftOut SavedAdapter SaveReport",
        "_reports._scan": "ScanHit ScannedFile ScanReport",
        "_reports._state_dict": "StateDictReport",
        "_reports._transfer": "PullReport PushReport",
        "_reports._verify": "VerifiedPath VerifyReport",
        "_rescue": "assemble publish publish_tensors rescue save_shard",
        "_verbs": "check clean content_id convert diff explain fix inspect normalize open pull push save scan state_dict "
                  "verify",
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


def _function(native: "Any") -> "Any":
    """A function of Python that calls a native one: help() shows it as any other."""

    def call(*arguments: "Any", **keywords: "Any") -> "Any":
        return native(*arguments, **keywords)

    call.__name__ = call.__qualname__ = native.__name__
    call.__doc__ = native.__doc__.partition("\n\n")[2]  # The first line is the signature.
    call.__module__ = "ferrule"
    call.__wrapped__ = native  # type: ignore[attr-defined]
    return call


for _class in (Adapter, AdapterConfig, AdapterTensor, BaseModel, Checkpoint, FileRange, Finding, MethodRole, Module, ModuleStrength,
               Progress, PublishedReader, SafetensorsFile):
    _class.__module__ = "ferrule"
    for _name, _member in list(vars(_class).items()):
        if type(_member).__name__ == "nb_func":
            setattr(_class, _name, staticmethod(_function(_member)))
method_roles, peft_types = _function(method_roles), _function(peft_types)

del _class, _name, _member
