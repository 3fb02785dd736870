# SPDX-License-Identifier: Apache-2.0
"""The command's verbs, for Python: those that report give the document of ``ferrule VERB --json``.

All of them release the GIL and wait for pending saves into the paths that they use. Ctrl-C raises KeyboardInterrupt:
verbs that only read end at once, those that write remove what they prepared and leave the old files (merge keeps what
`resume` can use). `progress` shows a bar: True for one of tqdm's (or a plain line), or anything with tqdm's ``update(n)``.

A str that is not a path here can be "user/repo" on the Hub, or an hf://, s3:// or https:// address.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Callable, Iterable, Literal, Mapping, Union

from . import _ferrule
from ._arguments import Backing, Durability, StrPath, flag, is_path, optional, paths_of, wait, words, wrong_type
from ._errors import InvalidArgumentError
from ._ferrule import Adapter, AdapterConfig, BaseModel, Checkpoint, Progress
from ._progress import ProgressBar, bar, size_of, transfer
from ._reports._check import CheckReport
from ._reports._clean import CleanReport
from ._reports._convert import ConvertReport, ExchangeReport, NormalizeReport
from ._reports._diff import DiffReport
from ._reports._explain import ExplainReport
from ._reports._fix import FixReport
from ._reports._inspect import AdapterSummary, ContainerSummary, FolderSummary, summary_of
from ._reports._record import raise_first_error
from ._reports._save import SaveReport
from ._reports._scan import ScanReport
from ._reports._state_dict import StateDictReport
from ._reports._transfer import PullReport, PushReport
from ._reports._verify import VerifyReport
from ._strict import strict

if TYPE_CHECKING:
    import numpy
    import torch

    State = Union[Mapping[str, Union["torch.Tensor", "numpy.ndarray[Any, Any]"]], Checkpoint, str, os.PathLike[str],
                  list[Union[str, os.PathLike[str]]]]

Config = Union[AdapterConfig, str, "os.PathLike[str]"]

__all__ = [
    "check",
    "clean",
    "content_id",
    "convert",
    "diff",
    "explain",
    "fix",
    "inspect",
    "normalize",
    "open",
    "pull",
    "push",
    "save",
    "scan",
    "state_dict",
    "verify",
]


def _opened(adapter: Any, argument: str, base: Any = None, config: Any = None) -> Adapter:
    if isinstance(adapter, Adapter):
        return adapter
    if not is_path(adapter):
        raise wrong_type(argument, "str, os.PathLike or ferrule.Adapter", adapter)
    wait(adapter)
    return Adapter.open(adapter, allow_errors=True, base=base, config=config)


def _local(base: Any) -> Any:
    """A base model that is a path here: what names of another program's adapter may depend on."""
    return base if is_path(base) and os.path.exists(base) else None


def _place(adapter: Any, opened: Adapter) -> Any:
    """The path to report: the one that was given."""
    return opened.directory if isinstance(adapter, Adapter) else adapter


def _base_of(base: Any, offline: bool = False) -> BaseModel | None:
    if base is None or isinstance(base, BaseModel):
        return base
    if not is_path(base):
        raise wrong_type("base", "str, os.PathLike, ferrule.BaseModel or None", base)
    return BaseModel.open(base, offline=offline)


@strict
def open(path: StrPath, *, backing: Backing = "map", torch_key: str = "", allow_errors: bool = False,
         base: StrPath | None = None, config: StrPath | None = None, source: str = "", arch: str = "") -> Adapter:
    """Opens an adapter's directory as PEFT finds it (adapter_model.safetensors, then .bin), without torch.

    path: also "user/repo" or "hf://user/repo[@revision][/subfolder]" on the Hub, pulled through the cache.
    backing: "map" maps the weights: pages load on first touch, and if another program truncates the file, touching a
        lost page ends the process (SIGBUS). "copy" reads them into memory.
    torch_key: the entry of a .bin that holds the state dict, if it is nested.
    allow_errors: open an adapter that can be read and has errors all the same (a rank that disagrees with the config, A
        without B): its findings list them. Without it the first one is raised.
    base, config, source, arch: of an adapter of another program (docs/convert.md), which is opened as
        ``convert(to="peft")`` writes it: those of :func:`convert`.

    Raises NotFoundError, IoError, CorruptError, UnsupportedError, LimitExceededError.
    """
    wait(path)
    return Adapter.open(path, backing=backing, torch_key=torch_key, allow_errors=flag(allow_errors, "allow_errors"),
                        base=base, config=config, source=source, arch=arch)


@strict
def inspect(path: StrPath, *, memo: StrPath | None = None, torch_key: str = "", base: StrPath | None = None,
            config: StrPath | None = None, progress: ProgressBar = None) -> AdapterSummary | FolderSummary | ContainerSummary:
    """What is at the path, by its headers: an adapter, a folder of them (walked to the bottom, in parallel), or a file
    of tensors. From the Hub no more is fetched than it takes.

    memo: of a folder, a file that keeps what was found: the next call reads only adapters that have changed since
        (device, inode, size or times of the folder or a file; docs/fleets.md).
    torch_key: the entry of a .bin that holds the state dict, if it is nested.
    base: the base model's folder, for an adapter of another program whose names depend on it.
    config: a file of that program that holds the strength, if the adapter's own do not.

    A bad adapter is an answer, not an exception. Raises NotFoundError, IoError, and for a file that cannot be read as
    one CorruptError, UnsupportedError, LimitExceededError.
    """
    wait(path)
    with bar(progress, "inspecting", "folder") as tick:
        return summary_of(_ferrule.inspect(path, memo, torch_key, base, config, tick))


@strict
def verify(path: StrPath | Iterable[StrPath], *, values: bool = False, id: str | None = None, backing: Backing = "map",
           torch_key: str = "", progress: ProgressBar = None) -> VerifyReport:
    """Verifies a directory as an adapter with all adapters below it, a single file as a container; or several paths.

    values: read every value too: NaN, Inf, an update that is all zeros.
    id: the content id that the adapter must have (:func:`content_id`).

    Problems of the path are in the report and never raised; what the Hub refuses is raised.
    """
    paths = paths_of(path)
    with bar(progress, "verifying", "folder") as tick:
        return VerifyReport(_ferrule.verify(paths, flag(values, "values"), id, backing, torch_key, tick))


@strict
def scan(path: StrPath | Iterable[StrPath], *, allow: Iterable[str] = (),
         fail_on: Literal["dangerous", "unknown", "any"] = "unknown", progress: ProgressBar = None) -> ScanReport:
    """Lists what unpickling the files, and the files in folders, would run, by reading them as data. What is on the
    Hub or in an object store is fetched into a temporary folder, before any program can find it.

    allow: globs of paths, names of files, and names of globals that are accepted.
    fail_on: the least severity that fails the scan.
    """
    paths = paths_of(path)
    with bar(progress, "scanning", "folder") as tick:
        return ScanReport(_ferrule.scan(paths, words(allow, "allow"), fail_on, tick))


@strict
def check(adapter: StrPath | Adapter, base: StrPath | BaseModel | None = None, *, engines: Iterable[str] = (),
          engine_table: StrPath | None = None, values: bool = False, allow_partial: bool = False, offline: bool = False,
          config: StrPath | None = None, progress: ProgressBar = None) -> CheckReport:
    """Compares an adapter with a base model: whether all of it would apply, and as it was meant.

    base: a directory, an index, a file of tensors, a config.json, a repository of the Hub, or a
        :class:`ferrule.BaseModel` (open it once for many adapters). None takes the base that the adapter's config
        names: a folder, a repository in the Hub's cache, or its headers from the Hub. Only headers are read.
    engines: also check against these serving engines ("vllm", "vllm@0.31", "sglang" ...).
    engine_table: a file with what engines do, in place of the table of this release (docs/check.md has the format).
    values: read the values too: NaN, Inf, a B that is all zeros.
    allow_partial: accept modules that the base does not have if at least one is found.
    offline: look for a base that is not a path in the cache only.
    config: for an adapter of another program that does not hold its own strength, the file that does.

    Problems are in the report. Raises :class:`ferrule.Error` if the adapter or the base cannot be read.
    """
    wanted = words(engines, "engines")
    flags = flag(values, "values"), flag(allow_partial, "allow_partial")
    opened = _opened(adapter, "adapter", _local(base), config)
    model = _base_of(base, flag(offline, "offline")) or BaseModel.of(opened.config, offline=offline)
    with bar(progress, "checking", "step") as tick:
        return CheckReport(_ferrule.check(opened, model, wanted, engine_table, *flags, tick))


@strict
def clean(directory: StrPath) -> CleanReport:
    """Removes the hidden ``.ferrule-`` files and folders that killed saves left in the directory, below it, or next to
    it for the directory itself. What a running save uses is left alone.

    What could not be removed is in the report. Raises NotFoundError, IoError.
    """
    wait(directory)
    return CleanReport(_ferrule.clean(directory))


@strict
def explain(adapter: StrPath | Adapter, module: str | None = None, *, base: StrPath | None = None,
            config: StrPath | None = None) -> ExplainReport:
    """The strength of every module that the adapter changes: r, alpha, rsLoRA and the patterns resolved as PEFT does.

    module: only modules whose path, or the end of it after a dot, matches ("*_proj"; * and ?).
    base: the base model's folder, for an adapter of another program whose names depend on it.
    config: a file of that program that holds the strength, if the adapter's own do not.
    """
    opened = _opened(adapter, "adapter", base, config)
    return ExplainReport(_ferrule.explain(opened, _place(adapter, opened), module))


@strict
def diff(a: StrPath | Adapter, b: StrPath | Adapter, *, tensors: bool = False, base: StrPath | None = None,
         config: StrPath | None = None, progress: ProgressBar = None) -> DiffReport:
    """Compares what two adapters do to a base, not how they are written: factors that were rescaled or rotated are
    the same.

    tensors: list the tensors of each module too.
    base: the base model's folder, for adapters of other programs whose names depend on it.
    config: a file of such a program that holds the strength, if the adapter's own do not.

    Raises CorruptError for an adapter with errors among its findings.
    """
    opened_a, opened_b = (_opened(one, name, base, config) for one, name in ((a, "a"), (b, "b")))
    for opened in (opened_a, opened_b):
        raise_first_error(opened.findings)
    with bar(progress, "comparing", "module") as tick:
        return DiffReport(_ferrule.diff(opened_a, opened_b, _place(a, opened_a), _place(b, opened_b),
                                        flag(tensors, "tensors"), tick))


@strict
def content_id(adapter: StrPath | Adapter, *, base: StrPath | None = None, config: StrPath | None = None,
               progress: ProgressBar = None) -> str:
    """64 hexadecimal digits that name the adapter's content (docs/content-id.md): the same for every container, file
    order, metadata, card and spelling of the config, different after any change of a tensor or of the config's
    meaning.

    base: the base model's folder, for an adapter of another program whose names depend on it.
    config: a file of that program that holds the strength, if the adapter's own do not.

    Raises CorruptError for an adapter with errors among its findings.
    """
    opened = _opened(adapter, "adapter", base, config)
    raise_first_error(opened.findings)
    with bar(progress, "hashing", "tensor") as tick:
        return _ferrule.content_id(opened, tick)


def _refuse_idle(**arguments: Any) -> None:
    """What only other programs' formats have. A base is a part of many calls, and harmless."""
    for argument, value in arguments.items():
        if argument in ("base", "config"):
            if value is not None and not is_path(value):
                raise wrong_type(argument, "str, os.PathLike or None", value)
        elif not isinstance(value, (str, list)):
            raise wrong_type(argument, "str", value)
        if value and argument != "base":
            raise InvalidArgumentError(f"{argument}: needs `to` with the format of a program, as in to=\"peft\"")


@strict
def convert(adapter: StrPath, output: StrPath, *, to: str = "safetensors", source: str = "", base: StrPath | None = None,
            config: StrPath | None = None, dtype: str = "", arch: str = "", drop: Iterable[str] = (), torch_key: str = "",
            durability: Durability = "safe", progress: ProgressBar = None,
            format: str | None = None) -> ConvertReport | ExchangeReport:
    """Writes an adapter in the form of another program (docs/convert.md): "gguf", "mlx", "peft", "per-expert" and so
    on. The output is read back and every update compared before it appears; what the target cannot hold raises
    UnsupportedError unless `drop` names it.

    With to="safetensors" or "bin", rewrites the weights in that format with every tensor unchanged; the config, the card
    and other files stay as they are, and `output` can be the adapter's own directory. It appears complete or not at all.

    source: the dialect of the adapter, where its content does not say.
    base: the base model's folder (its config.json is enough), or that of a diffusers pipeline.
    config: a file of the source's program that holds the strength or names.
    dtype: "f32", "f16", "bf16" or "q8_0"; as in the source without it.
    arch: the model's architecture if no base says it.
    torch_key: the entry of a .bin that holds the state dict, if it is nested.
    durability: "fast" (nothing is flushed), "safe" (old or new, whole, after a loss of power), or "full" (and the new
        one is on disk when the call returns).
    format: another name of `to`, as the command has it.
    """
    if format is not None:
        if not isinstance(format, str):
            raise wrong_type("format", "str or None", format)
        if to not in ("safetensors", format):
            raise InvalidArgumentError(f"format: it is another name of `to`, which is {to!r}")
        to = format
    wait(adapter)
    wait(output)
    dropped = words(drop, "drop")
    repacks = to in ("safetensors", "bin")
    if repacks:
        _refuse_idle(source=source, base=base, config=config, dtype=dtype, arch=arch, drop=dropped)
    with bar(progress, "converting", "B", size_of(adapter)) as tick:
        if repacks:
            return ConvertReport(_ferrule.convert(adapter, output, to, torch_key, durability, tick))
        return ExchangeReport(_ferrule.exchange(adapter, output, to, source, base, config, dtype, arch, dropped, torch_key,
                                                durability, tick))


@strict
def normalize(adapter: StrPath, output: StrPath, *, rank: Literal["uniform", "keep"] = "uniform",
              scale: Literal["b", "a", "split"] = "b", engines: Iterable[str] = (),
              engine_table: StrPath | None = None, torch_key: str = "", base: StrPath | None = None,
              config: StrPath | None = None, durability: Durability = "safe",
              progress: ProgressBar = None) -> NormalizeReport:
    """Writes a plain LoRA that every engine reads the same way: alpha = r, so that every strength is 1, no rsLoRA, no
    patterns. `output` can be the adapter's own directory.

    rank: one rank for all modules, padded with zeros, or each rank as it is.
    scale: which factor takes the strength.
    engines: also refuse what these serving engines would refuse or ignore.
    engine_table: a file with what engines do, in place of the table of this release (docs/check.md has the format).
    base: the base model's folder, for an adapter of another program whose names depend on it.
    config: a file of that program that holds the strength, if the adapter's own do not.

    Raises UnsupportedError for what a plain LoRA cannot express (docs/rules/NM.md).
    """
    wait(adapter)
    wait(output)
    with bar(progress, "normalizing", "module") as tick:
        return NormalizeReport(_ferrule.normalize(adapter, output, rank, scale, engines, engine_table, torch_key, base,
                                                  config, durability, tick))


@strict
def fix(adapter: StrPath, output: StrPath, *, base: StrPath | BaseModel | None = None,
        durability: Durability = "safe", progress: ProgressBar = None) -> FixReport:
    """Repairs problems that have exactly one fix: names that torch.compile, FSDP, DDP or an adapter left in keys, a
    missing "base_model.model.", types and fields of older PEFT releases, a stale adapter_model.bin; with base also the
    prefix of a wrapper. Tensors keep their bits. `output` can be the adapter's own directory.

    If an error remains, the report is not good (``report.raise_for_errors()``) and nothing is written.
    """
    wait(adapter)
    wait(output)
    with bar(progress, "fixing", "B", size_of(adapter)) as tick:
        return FixReport(_ferrule.fix(adapter, output, _base_of(base), durability, tick))


def _configs(config: Any) -> dict[str, AdapterConfig]:
    if isinstance(config, AdapterConfig):
        return {"default": config}
    if is_path(config):
        wait(config)
        return {"default": AdapterConfig.open(config)}
    if not isinstance(config, Mapping) or not all(isinstance(name, str) for name in config):
        raise wrong_type("config", "ferrule.AdapterConfig, a path, or a dict of these by adapter name", config)
    named: dict[str, AdapterConfig] = {}
    for name, one in config.items():
        if not isinstance(one, AdapterConfig) and not is_path(one):
            raise wrong_type(f"config[{name!r}]", "ferrule.AdapterConfig or a path", one)
        named[name] = one if isinstance(one, AdapterConfig) else AdapterConfig.open(one)
    return named


def _state(state: Any, torch_key: str) -> Any:
    if isinstance(state, Checkpoint):
        return state
    if isinstance(state, Mapping):
        return state if isinstance(state, dict) else dict(state)
    if is_path(state) or isinstance(state, (list, tuple)):
        for path in state if isinstance(state, (list, tuple)) else [state]:
            wait(path)
        return Checkpoint.open(list(state) if isinstance(state, tuple) else state, torch_key=torch_key)
    raise wrong_type("state", "a dict of tensors, ferrule.Checkpoint, or paths", state)


def _config_beside(state: Any) -> str:
    """The config in a state's own folder."""
    for path in [state] if is_path(state) else state if isinstance(state, (list, tuple)) else []:
        file = os.path.join(os.fsdecode(path), "adapter_config.json") if is_path(path) else ""
        if os.path.isfile(file):
            return file
    raise TypeError("config is required: no state is a folder with an adapter_config.json")


@strict
def save(state: State, directory: StrPath, config: Config | Mapping[str, Config] | None = None, *,
         select: Iterable[str] | None = None, format: Literal["safetensors", "bin"] = "safetensors",
         dtype: Literal["keep", "f32", "bf16", "f16"] = "keep",
         embeddings: Literal["auto", "always", "never"] = "auto", initial: StrPath | None = None,
         base: StrPath | BaseModel | None = None, fingerprint: bool = False, facts: Mapping[str, Any] | None = None,
         card: bool | Literal["plain"] = True, torch_key: str = "", durability: Durability = "safe",
         progress: ProgressBar = None) -> SaveReport:
    """Saves adapters out of a state dict as ``PeftModel.save_pretrained`` does, without PEFT or torch.

    state: a dict of torch or numpy tensors, a :class:`ferrule.Checkpoint`, or paths that make one. It can be any part
        of a model's state dict that holds the adapters' tensors.
    config: the config of the adapter called "default", or a dict of configs by adapter name. None takes the
        adapter_config.json of a state that is a folder, as a Trainer's checkpoint of a PeftModel is.
    select: save only these adapters.
    dtype: round floating-point tensors to this dtype.
    embeddings: whether to save the embedding layers too; "auto" decides as PEFT does.
    initial: the adapter right after its initialization (PiSSA, OLoRA): saves a plain LoRA.
    base: the base model or its config.json, for embeddings="auto".
    fingerprint: keep the fingerprint of base in the metadata, for check().
    facts: facts of the live model (docs/model-facts.md).
    card: write a README.md; "plain" leaves the section about Ferrule out.

    The adapter called "default" is written to `directory` itself, every other one to a folder of its name, all of
    them or none. Raises :class:`ferrule.Error` if the save is refused (docs/rules); the directory is then unchanged.
    """
    if not is_path(directory):
        raise wrong_type("directory", "str or os.PathLike", directory)
    if facts is not None and not isinstance(facts, Mapping):
        raise wrong_type("facts", "a dict or None", facts)
    if not isinstance(torch_key, str):
        raise wrong_type("torch_key", "str", torch_key)
    wait(directory)
    configs = _configs(_config_beside(state) if config is None else config)
    source = _state(state, torch_key)
    with bar(progress, "saving", "B") as tick:
        return SaveReport(_ferrule.save(source, directory, configs, select, format, embeddings, initial, _base_of(base),
                                        flag(fingerprint, "fingerprint"), facts, card, dtype,
                                        durability, tick))


@strict
def state_dict(adapter: StrPath | Adapter, output: StrPath, *, adapter_name: str = "default",
               torch_key: str = "") -> StateDictReport:
    """Writes the tensors to a safetensors file, under the names that a PEFT model with this adapter has. (Those tensors
    themselves are what :meth:`Adapter.state_dict` gives.)

    adapter_name: the adapter's name in the model.
    torch_key: the entry of a .bin that holds the state dict, if it is nested.
    """
    wait(output)
    if not isinstance(adapter, Adapter):
        if not is_path(adapter):
            raise wrong_type("adapter", "str, os.PathLike or ferrule.Adapter", adapter)
        wait(adapter)
        opened = Adapter.open(adapter, allow_errors=True, torch_key=torch_key)
    elif torch_key:
        raise InvalidArgumentError("torch_key: the adapter is open already")
    else:
        opened = adapter
    return StateDictReport(_ferrule.state_dict(opened, _place(adapter, opened), output, adapter_name))


@strict
def push(directory: StrPath, repo_id: str, *, revision: str | None = None, private: bool | None = None,
         create_pr: bool = False, commit_message: str | None = None, commit_description: str | None = None,
         token: str | bool | None = None, allow_public: bool = False, include: Iterable[str] | None = None,
         exclude: Iterable[str] | None = None, all: bool = False, dry_run: bool = False,
         progress: ProgressBar | Callable[[Progress], object] = None) -> PushReport:
    """Verifies an adapter's directory and sends it to the Hugging Face Hub (or to "s3://bucket/prefix"), as one commit
    or none. Files that the Hub already has are not sent.

    revision: a branch ("main"); it and the repository are created if they do not exist.
    private: a new repository is private; a public one is refused, unless allow_public.
    create_pr: open a pull request instead of committing to the branch.
    token: None takes that of the environment or of ``hf auth login``, False none.
    include, exclude: patterns (* and ?) of files to send besides the adapters, their cards and small configuration, or
        to leave; a hidden file needs an include that writes out its dot.
    all: send training state as well.
    dry_run: make no request; the report lists what would be sent, and what stays in left_behind.
    progress: a bar, or a callable that gets a :class:`ferrule.Progress`. Its exception, or Ctrl-C, ends the push: the
        same call again sends what is missing.

    Raises CorruptError for an adapter that is not good, before any request, NotFoundError, NetworkError (a
    ConnectionError), PermissionDeniedError, IoError; the rules are HB-* (docs/rules/HB.md).
    """
    with transfer(progress, "pushing") as told:
        report = _ferrule.push(directory, repo_id, revision=revision, private=optional(flag, private, "private"),
                               create_pr=flag(create_pr, "create_pr"), commit_message=commit_message,
                               commit_description=commit_description, token=token,
                               allow_public=flag(allow_public, "allow_public"), include=include, exclude=exclude,
                               all=flag(all, "all"), dry_run=flag(dry_run, "dry_run"), progress=told)
    return PushReport(report.to_dict())


@strict
def pull(repo_id: str, *, revision: str | None = None, cache_dir: StrPath | None = None,
         output: StrPath | None = None, files: Iterable[str] | None = None, offline: bool = False,
         token: str | bool | None = None, progress: ProgressBar | Callable[[Progress], object] = None) -> PullReport:
    """Fetches a repository of the Hugging Face Hub (or "s3://bucket/prefix", or the https:// address of a folder) at a
    branch, tag or commit.

    The files stay in the cache that huggingface_hub uses too, or are copied into `output`, together or not at all.
    Each is checked against the hash that the Hub lists, cached ones too. offline=True makes no request. For token,
    progress and errors see push.
    """
    with transfer(progress, "pulling") as told:
        report = _ferrule.pull(repo_id, revision=revision, cache_dir=cache_dir, output=output, files=files,
                               offline=flag(offline, "offline"), token=token, progress=told)
    return PullReport(report.to_dict())
