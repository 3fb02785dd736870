"""The native half of ferrule. Import its public names from `ferrule`."""

from collections.abc import Callable, Iterable, Iterator, Sequence
import os
from typing import Any, Literal, overload

import numpy
import torch


version: str = '0.1.0'

peft_version: str = '0.21.2'

class Finding:
    """One result of a check; rules are numbered in docs/rules."""

    def __init__(self, severity: object, rule: object = '', path: object = '', key: object = '', message: object = '', advice: object = '') -> None: ...

    def __eq__(self, other: object) -> bool: ...

    def __hash__(self) -> int: ...

    def __reduce__(self) -> tuple[Any, ...]: ...

    def to_dict(self) -> dict[str, str]:
        """The FINDING of docs/cli.md."""

    @property
    def severity(self) -> Literal['error', 'warning', 'note']:
        """"error", "warning" or "note"."""

    @property
    def rule(self) -> str:
        """The rule, as in "AD-3"."""

    @property
    def path(self) -> str:
        """The file or directory it concerns."""

    @property
    def key(self) -> str:
        """The tensor, config field or module it concerns; may be empty."""

    @property
    def message(self) -> str:
        """What was expected, what was found."""

    @property
    def advice(self) -> str:
        """What to do about it; may be empty."""

    def __str__(self) -> str: ...

    def __repr__(self) -> str: ...

class ModuleStrength:
    """Factor and rank of one module's update, and the rule that decided."""

    def __init__(self) -> None: ...

    @property
    def strength(self) -> float | None:
        """The factor on the update: PEFT's scaling; None if the method has none."""

    @property
    def rank(self) -> float | None: ...

    @property
    def alpha(self) -> float | None: ...

    @property
    def rule(self) -> str:
        """Which pattern or default won."""

    def __repr__(self) -> str: ...

class AdapterConfig:
    """
    adapter_config.json as a value: the document in full, and typed readings of what Ferrule acts on.
    """

    def __init__(self) -> None: ...

    @staticmethod
    def open(path: str | os.PathLike[str]) -> AdapterConfig:
        """
        Reads the file, or adapter_config.json in the directory. Raises CorruptError (rules CF-*), NotFoundError.
        """

    @staticmethod
    def parse(json: str) -> AdapterConfig:
        """
        Reads the text of an adapter_config.json. Raises CorruptError (rules CF-*).
        """

    @staticmethod
    def make(peft_type: str, **fields: Any) -> AdapterConfig:
        """
        A new config of that type: PEFT's defaults, with these fields set. Raises InvalidArgumentError for an unknown type or field, and for a value that the field cannot hold.
        """

    @staticmethod
    def upgrade(path: str | os.PathLike[str], output: str | os.PathLike[str] | None = None) -> AdapterConfig:
        """
        Reads a config as open() does, with types and fields of older PEFT releases renamed and defaults added (see findings), and writes PEFT's text of it to the file `output`, which can be `path` itself.
        """

    @property
    def peft_type(self) -> str:
        """The exact type, such as "LORA"."""

    @property
    def document(self) -> dict[str, Any]:
        """Every field, in the order of the file, defaults included. A copy."""

    def __getitem__(self, field: str) -> Any: ...

    def __contains__(self, arg: str, /) -> bool: ...

    def keys(self) -> list[str]:
        """
        The names of all fields, in the order of the file: dict(config) is config.to_dict().
        """

    def __iter__(self) -> Iterator[str]: ...

    def __len__(self) -> int: ...

    def get(self, field: str, default: Any = None) -> Any: ...

    def set(self, field: str, value: Any, *, force: bool = False) -> None:
        """
        Sets a field. Raises InvalidArgumentError if the type has no such field (unless force) or if the field cannot hold the value; the config is then unchanged.
        """

    def __setattr__(self, field: str, value: Any) -> None:
        """As set(): config.r = 8."""

    def to_dict(self) -> dict[str, Any]:
        """Every field, as PEFT's configs give them. A copy."""

    def to_json(self) -> str:
        """The text that PEFT writes of this config."""

    @property
    def findings(self) -> list[Finding]:
        """What was found while reading it: upgrades, unknown fields."""

    def resolve_strength(self, module_path: str) -> ModuleStrength:
        """
        Resolves r, alpha, rsLoRA and the patterns for a module of the base model, as PEFT does at injection.
        """

    def __getattr__(self, name: str) -> Any:
        """
        The field of that name, as PEFT's configs have it: config.r, config.lora_alpha.
        """

    def __eq__(self, other: object) -> bool:
        """Whether all fields are equal."""

    def __getstate__(self) -> str: ...

    def __setstate__(self, state: str) -> None: ...

    def copy(self) -> AdapterConfig: ...

    def __copy__(self) -> AdapterConfig: ...

    def __deepcopy__(self, memo: Any) -> AdapterConfig: ...

    def __repr__(self) -> str: ...

    __hash__: None = None

    @property
    def task_type(self) -> str | None: ...

    @property
    def base_model_name_or_path(self) -> str | None: ...

    @property
    def is_prompt_learning(self) -> bool: ...

    @property
    def bias(self) -> str: ...

    @property
    def target_modules(self) -> str | list[str] | None: ...

    @property
    def exclude_modules(self) -> str | list[str] | None: ...

    @property
    def modules_to_save(self) -> list[str]: ...

    @property
    def target_parameters(self) -> list[str]: ...

    @property
    def rank(self) -> int | None:
        """`r`, or the method's field for it."""

    @property
    def alpha(self) -> float | None:
        """`lora_alpha`, or the method's field for it."""

    @property
    def use_rslora(self) -> bool: ...

    @property
    def use_dora(self) -> bool: ...

    @property
    def rank_pattern(self) -> dict[str, float]: ...

    @property
    def alpha_pattern(self) -> dict[str, float]: ...

def peft_types() -> list[str]:
    """Every PEFT type that Ferrule knows, sorted."""

class FileRange:
    """
    Where the bytes of a tensor are in a file, for direct I/O, pinned memory or a GPU.
    """

    def __init__(self) -> None: ...

    @property
    def path(self) -> str:
        """The file as it was opened."""

    @property
    def offset(self) -> int:
        """In bytes from the start of the file."""

    @property
    def length(self) -> int:
        """In bytes."""

    @property
    def alignment(self) -> int:
        """The largest power of two that divides offset."""

    def __repr__(self) -> str: ...

class MethodRole:
    """A kind of tensor that a method keeps in its file."""

    def __init__(self) -> None: ...

    @property
    def role(self) -> str:
        """As AdapterTensor.role ("lora_A")."""

    @property
    def is_of_model(self) -> bool:
        """One for the whole model, not one for each module."""

    def __repr__(self) -> str: ...

def method_roles(peft_type: str) -> list[MethodRole]:
    """
    The roles of the tensors of a method ("LORA"); empty for one that is not known. What every method may have (modules_to_save, bias, embedding, trainable_tokens) is not among them.
    """

class AdapterTensor:
    """
    A tensor of an adapter: its key in the file and its role in the method. Not a copy.
    """

    def __init__(self) -> None: ...

    @property
    def key(self) -> str:
        """The key in the file."""

    @property
    def role(self) -> str:
        """The method's word for it ("lora_A"); empty if nothing explains it."""

    @property
    def leaf(self) -> str:
        """The rest of the key below the role."""

    @property
    def range(self) -> FileRange:
        """
        Where its bytes are in the weights file, for own I/O. Raises UnsupportedError if they are not there as they are (a tensor of a .bin that is not contiguous).
        """

    @property
    def dtype(self) -> str:
        """The name of the dtype in safetensors ("BF16")."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def nbytes(self) -> int: ...

    def torch(self) -> torch.Tensor:
        """The tensor, without a copy; it keeps the file's mapping alive."""

    def numpy(self) -> numpy.ndarray:
        """The array, without a copy; it keeps the file's mapping alive."""

    def __repr__(self) -> str: ...

class Module:
    """A module of the base model that the adapter changes."""

    def __init__(self) -> None: ...

    @property
    def path(self) -> str:
        """The path in the base model; empty for what belongs to the whole model."""

    @property
    def strength(self) -> float:
        """
        The factor on the update, with r, alpha, rsLoRA and patterns resolved; 1 if the method has none.
        """

    @property
    def resolved(self) -> ModuleStrength:
        """The same with its rank, alpha and the rule that won."""

    @property
    def rank(self) -> float | None: ...

    @property
    def alpha(self) -> float | None: ...

    @property
    def tensors(self) -> list[AdapterTensor]: ...

    def tensor(self, role: str) -> AdapterTensor | None:
        """
        The tensor of that role, or None. If a role has several, the weight; ask with the leaf ("lora_B.bias") for another one.
        """

    def __repr__(self) -> str: ...

class Adapter:
    """
    An opened adapter: config, weights, and every tensor matched to a role of its method.
    """

    def __init__(self) -> None: ...

    @staticmethod
    def open(path: str | os.PathLike[str], *, backing: Literal['map', 'copy'] = 'map', torch_key: str = '', allow_errors: bool = False, base: str | os.PathLike[str] | None = None, config: str | os.PathLike[str] | None = None, source: str = '', arch: str = '') -> Adapter:
        """
        Opens an adapter's directory as PEFT finds it (adapter_model.safetensors, then .bin), without torch. "hf://user/repo[@revision][/subfolder]" is pulled through the cache first.

        backing="map" maps the weights: pages load on first touch, and if another program truncates the file, touching a lost page ends the process (SIGBUS). backing="copy" reads them into memory. torch_key names the entry of a .bin that holds the state dict one level down.

        An adapter of another program (docs/convert.md) is opened as convert(to="peft") writes it; base, config, source and arch are those of convert().

        An adapter that can be read and has errors all the same is refused with the first of them, unless allow_errors asks for it; findings has all. Raises NotFoundError, IoError, CorruptError, UnsupportedError, LimitExceededError.
        """

    @property
    def config(self) -> AdapterConfig: ...

    @property
    def modules(self) -> list[Module]:
        """Sorted by path; what belongs to the whole model comes first."""

    @property
    def tensors(self) -> list[AdapterTensor]:
        """Every tensor of the file."""

    @property
    def findings(self) -> list[Finding]:
        """
        All findings by the AD, KY and CF rules, errors first; errors only with allow_errors.
        """

    @property
    def directory(self) -> str: ...

    @property
    def weights_file(self) -> str: ...

    @property
    def metadata(self) -> dict[str, str]: ...

    @property
    def file_bytes(self) -> int: ...

    def live_key(self, disk_key: str, adapter_name: str = 'default') -> str | None:
        """
        The key under which a PEFT model with an adapter of that name holds the tensor.
        """

    @overload
    def state_dict(self, framework: Literal['torch'] = 'torch', adapter_name: str = 'default', *, keys: Literal['live', 'disk'] = 'live') -> dict[str, torch.Tensor]: ...

    @overload
    def state_dict(self, framework: Literal['numpy'], adapter_name: str = 'default', *, keys: Literal['live', 'disk'] = 'live') -> dict[str, numpy.ndarray]:
        """
        The tensors by name: keys="live" as a PEFT model's state_dict() spells them, keys="disk" as the file does.

        Nothing is copied: the tensors are views of the file's private mapping and keep it alive. They may be written to; the file never changes (its mapping becomes writable when a tensor of it is first asked for). Raises UnsupportedError for a dtype that the framework does not have.
        """

    def __len__(self) -> int:
        """The number of modules."""

    def __iter__(self) -> Iterator[Module]: ...

    def __getitem__(self, path: str) -> Module:
        """
        The module at that path. Raises KeyError if the adapter does not change it.
        """

    def __contains__(self, path: object) -> bool: ...

    def __bool__(self) -> bool: ...

    def close(self) -> None:
        """
        Gives the mapping back as soon as no tensor, module or other object of the adapter uses it. Afterwards the adapter itself raises ValueError.
        """

    def __enter__(self) -> Adapter: ...

    def __exit__(self, *arguments: object) -> None: ...

    def __repr__(self) -> str: ...

class BaseModel:
    """
    A base model as its headers describe it: names, shapes and config, no weights. Open it once and check any number of adapters against it.
    """

    def __init__(self) -> None: ...

    @staticmethod
    def open(path: str | os.PathLike[str], *, offline: bool = False) -> BaseModel:
        """
        Opens a directory (weights and their config.json), an index, a file of tensors, or a config.json. A repository ("user/repo", "hf://user/repo[@revision]") is looked up in the Hub's cache; if it is not there, its headers are fetched, unless offline. Raises NotFoundError, IoError, CorruptError, UnsupportedError, LimitExceededError.
        """

    @staticmethod
    def of(config: AdapterConfig, *, offline: bool = False) -> BaseModel:
        """
        Opens the base that the config names: a folder, or a repository. Raises InvalidArgumentError if it names none, and what open() raises.
        """

    @property
    def has_tensors(self) -> bool:
        """False if only a config.json was given."""

    @property
    def tensor_count(self) -> int: ...

    @property
    def config(self) -> dict[str, Any] | None:
        """The config.json, or None. A copy."""

    @property
    def class_name(self) -> str:
        """The first class that the config names, or ""."""

    @property
    def fingerprint(self) -> str:
        """
        SHA-256 of the names and shapes, 64 hexadecimal digits; empty without tensors.
        """

    def __repr__(self) -> str: ...

class Checkpoint:
    """
    Files of tensors opened as one: safetensors, a sharded index, torch files (read as data, never unpickled), or a directory that holds one of these. What they are is decided by content.
    """

    def __init__(self) -> None: ...

    @staticmethod
    def open(path: str | os.PathLike[str] | list[str | os.PathLike[str]], *, backing: Literal['map', 'copy'] = 'map', torch_key: str = '') -> Checkpoint:
        """
        Several paths are joined. Raises NotFoundError, IoError, CorruptError, UnsupportedError, LimitExceededError.
        """

    def __len__(self) -> int: ...

    @property
    def files(self) -> list[str]: ...

    def range(self, name: str) -> FileRange:
        """
        Where the bytes of a tensor are in its file, for own I/O. Raises NotFoundError, and UnsupportedError if they are not there as they are.
        """

    @property
    def file_bytes(self) -> int: ...

    @property
    def names(self) -> list[str]: ...

    @overload
    def state_dict(self, framework: Literal['torch'] = 'torch') -> dict[str, torch.Tensor]: ...

    @overload
    def state_dict(self, framework: Literal['numpy']) -> dict[str, numpy.ndarray]:
        """
        The tensors by name, without copies: views of private mappings, which they keep alive.
        """

    def __repr__(self) -> str: ...

class Progress:
    """The progress of a push or pull."""

    def __init__(self) -> None: ...

    @property
    def bytes_done(self) -> int: ...

    @property
    def bytes_total(self) -> int: ...

    @property
    def files_done(self) -> int: ...

    @property
    def files_total(self) -> int: ...

    def __repr__(self) -> str: ...

class PushReport:
    """What a push did. dict(report) has the fields of `ferrule push --json`."""

    def __init__(self) -> None: ...

    @property
    def repo(self) -> str:
        """The repository with its namespace."""

    @property
    def revision(self) -> str:
        """The branch, or "refs/pr/N"."""

    @property
    def commit(self) -> str:
        """
        The head after the push: the new commit, or the one that already had all files.
        """

    @property
    def url(self) -> str:
        """URL of that commit."""

    @property
    def pr_url(self) -> str | None:
        """URL of the pull request, if one was opened."""

    @property
    def uploaded(self) -> list[str]:
        """Paths in the repository that were uploaded."""

    @property
    def unchanged(self) -> list[str]:
        """Paths that the Hub already had."""

    @property
    def dry_run(self) -> bool:
        """True if nothing was sent because dry_run was given."""

    @property
    def selected(self) -> list[str]:
        """Every path that was chosen; of a dry run what would be sent."""

    @property
    def left_behind(self) -> list[dict[str, str]]:
        """What was not sent: path (a folder ends with a slash) and why."""

    def __repr__(self) -> str: ...

    def keys(self) -> list[str]:
        """The names of its fields."""

    def __getitem__(self, key: str) -> Any: ...

    def to_dict(self) -> dict[str, Any]:
        """The document of the command's --json."""

class PullReport:
    """
    What a pull fetched. dict(report) has the fields of `ferrule pull --json`.
    """

    def __init__(self) -> None: ...

    @property
    def repo(self) -> str: ...

    @property
    def revision(self) -> str:
        """The revision that was asked for."""

    @property
    def commit(self) -> str:
        """The commit that the revision was when it was pulled."""

    @property
    def path(self) -> str:
        """The snapshot in the cache, or the output folder."""

    @property
    def files(self) -> list[str]:
        """Relative to it, sorted."""

    def __repr__(self) -> str: ...

    def keys(self) -> list[str]:
        """The names of its fields."""

    def __getitem__(self, key: str) -> Any: ...

    def to_dict(self) -> dict[str, Any]:
        """The document of the command's --json."""

def push(directory: str | os.PathLike[str], repo_id: str, *, revision: str | None = None, private: bool | None = None, create_pr: bool = False, commit_message: str | None = None, commit_description: str | None = None, token: str | bool | None = None, allow_public: bool = False, progress: Callable[[Progress], object] | None = None, include: Iterable[str] | None = None, exclude: Iterable[str] | None = None, all: bool = False, dry_run: bool = False) -> PushReport:
    """
    Verifies an adapter's directory and sends it to the Hugging Face Hub (or to "s3://bucket/prefix"), as one commit or none.

    The adapters in the directory and below it are sent with their cards, tokenizers and other small configuration; not hidden files (an include that writes out the dot sends one) and not training state (all=True sends it). include and exclude are patterns (* and ?). The report's left_behind lists what stays; dry_run=True makes no request.

    Files that the Hub already has are not sent; the repository and the branch are created if they do not exist. private=True for a public repository is refused unless allow_public. token: None takes that of the environment or of `hf auth login`, False none. Pending saves there are waited for. The GIL is released; progress is called from this thread, and its exception, or Ctrl-C, ends the push: the same call again sends what is missing.

    Raises CorruptError for an adapter that is not good, before any request, NotFoundError, NetworkError (a ConnectionError), PermissionDeniedError, IoError; the rules are HB-* (docs/rules/HB.md).
    """

def pull(repo_id: str, *, revision: str | None = None, cache_dir: str | os.PathLike[str] | None = None, output: str | os.PathLike[str] | None = None, files: Iterable[str] | None = None, offline: bool = False, token: str | bool | None = None, progress: Callable[[Progress], object] | None = None) -> PullReport:
    """
    Fetches a repository of the Hugging Face Hub (or "s3://bucket/prefix", or the https:// address of a folder) at a branch, tag or commit.

    The files stay in the cache that huggingface_hub uses too, or are copied into `output`, together or not at all. Each is checked against the hash that the Hub lists, cached ones too. offline=True makes no request. For token, progress and errors see push.
    """

def inspect(path: object | None, memo: object | None, torch_key: object | None, base: object | None, config: object | None, tick: object | None) -> object:
    """The document of the command's --json."""

def clean(directory: object | None) -> object:
    """The document of the command's --json."""

def verify(paths: object, values: bool, id: object | None, backing: object | None, torch_key: object | None, tick: object | None) -> object:
    """The document of the command's --json."""

def scan(paths: object, allow: object | None, fail_on: object | None, tick: object | None) -> object:
    """The document of the command's --json."""

class LiveTensors:
    """
    Tensors of torch or numpy as native code reads them: the addresses of their bytes, without a copy if they are contiguous in host memory.
    """

    def __init__(self, tensors: object | None, accept: str = 'any') -> None: ...

    def __len__(self) -> int: ...

    @property
    def overlapping(self) -> bool:
        """Whether two tensors share bytes."""

    @property
    def all_in_place(self) -> bool:
        """Whether no tensor had to be copied."""

    @property
    def byte_count(self) -> int:
        """Bytes of all tensors."""

    def write_safetensors(self, path: str | os.PathLike[str], metadata: dict[str, str] | None = None, *, durability: Literal['fast', 'safe', 'full'] = 'safe') -> None:
        """
        Writes the bytes that safetensors writes. The file appears whole or not at all; the GIL is released meanwhile. Raises InvalidArgumentError, IoError, LimitExceededError.
        """

    def serialize_safetensors(self, metadata: dict[str, str] | None = None) -> bytes:
        """The same bytes in memory."""

def check(adapter: Adapter, base: BaseModel, engines: object | None, engine_table: object | None, values: bool, allow_partial: bool, tick: object | None) -> object:
    """The document of the command's --json."""

def explain(adapter: Adapter, path: object | None, module: object | None) -> object:
    """The document of the command's --json."""

def diff(a: Adapter, b: Adapter, a_path: object, b_path: object, tensors: bool, tick: object | None) -> object:
    """The document of the command's --json."""

def state_dict(adapter: Adapter, path: object, output: object | None, adapter_name: object | None) -> object:
    """The document of the command's --json."""

def content_id(adapter: Adapter, tick: object | None) -> str:
    """64 hexadecimal digits."""

def exchange(adapter: object | None, output: object | None, to: object | None, source: object | None, base: object | None, config: object | None, dtype: object | None, arch: object | None, drop: object | None, torch_key: object | None, durability: object | None, tick: object | None) -> object:
    """The document of the command's --json."""

def convert(adapter: object | None, output: object | None, to: object | None, torch_key: object | None, durability: object | None, tick: object | None) -> object:
    """The document of the command's --json."""

def normalize(adapter: object | None, output: object | None, rank: object | None, scale: object | None, engines: object | None, engine_table: object | None, torch_key: object | None, base: object | None, config: object | None, durability: object | None, tick: object | None) -> object:
    """The document of the command's --json."""

def fix(adapter: object | None, output: object | None, base: BaseModel | None, durability: object | None, tick: object | None) -> object:
    """The document of the command's --json."""

def save(state: object | None, directory: object | None, config: dict, select: object | None, format: object | None, embeddings: object | None, initial: object | None, base: BaseModel | None, fingerprint: bool, facts: object | None, card: object | None, dtype: object | None, durability: object | None, tick: object | None) -> object:
    """The document of the command's --json."""

def combine(adapters: list, output: object | None, method: object | None, weights: Sequence[float], rank: int | None, density: float | None, seed: int, report: object | None, threads: int, torch_key: object | None, durability: object | None, tick: object | None) -> object:
    """The document of the command's --json."""

def resize(adapter: object | None, output: object | None, rank: int | None, energy: float | None, max_error: float | None, budget: int | None, report: object | None, threads: int, torch_key: object | None, durability: object | None, tick: object | None) -> object:
    """The document of the command's --json."""

def extract(base: object | None, tuned: object | None, output: object | None, rank: int, energy: float | None, full_modules: bool, report: object | None, threads: int, durability: object | None, tick: object | None) -> object:
    """The document of the command's --json."""

def to_lora(adapter: object | None, output: object | None, rank: int | None, max_error: float | None, base: object | None, report: object | None, threads: int, torch_key: object | None, durability: object | None, tick: object | None) -> object:
    """The document of the command's --json."""

def rescue(checkpoint: object | None, output: object | None, config: object | None, adapter: object | None, prefer: object | None, durability: object | None, tick: object | None) -> object: ...

def assemble(directory: object | None, output: object | None, config: object | None, adapter: object | None, durability: object | None, tick: object | None) -> object: ...

def publish(adapter: object | None, root: object | None, keep: int, durability: object | None, tick: object | None) -> object: ...

def publish_tensors(tensors: dict, root: object | None, metadata: object | None, keep: int, durability: object | None, tick: object | None) -> object: ...

def adapter_keys(tensors: list[tuple[str, str, list[int]]], config: AdapterConfig, adapter_name: str | None) -> list[tuple[int, str]]: ...

def save_shard(parts: list, tensors: dict, config: AdapterConfig, directory: object, rank: int, world_size: int, run_id: object, step: int | None, durability: object, tick: object | None) -> object: ...

class PublishedReader:
    """Follows the current generation of a folder that publish() writes."""

    def __init__(self) -> None: ...

    @staticmethod
    def open(root: str | os.PathLike[str]) -> PublishedReader:
        """Raises NotFoundError if nothing was published there yet."""

    @property
    def changed(self) -> bool:
        """
        Whether something was published since current() was read last. A load from memory: no system call.
        """

    def current(self) -> tuple[int, str]:
        """The number of the current generation, and its folder."""

    def __repr__(self) -> str: ...

def verify_rows(paths: object, values: bool, torch_key: object, threads: int) -> list:
    """For each path a tuple of its row, or None if it is not good."""

def check_rows(paths: object, base: BaseModel, engines: object, values: bool, allow_partial: bool, threads: int) -> list:
    """For each path a tuple of its row, or None if it is not good."""

def content_id_rows(paths: object, threads: int) -> list:
    """For each path a tuple of its row, or None if it is not good."""

def merge(undo: bool, adapters: list, base: object | None, output: object | None, weights: Sequence[float], rounding: object | None, dtype: object | None, threads: int, copy: bool, in_place: bool, resume: bool, torch_key: object | None, durability: object | None, tick: object | None) -> object:
    """The document of the command's --json."""

class Snapshot:
    """A copy of LiveTensors at one moment."""

    def __init__(self, tensors: LiveTensors) -> None: ...

    def __len__(self) -> int: ...

    @property
    def byte_count(self) -> int:
        """Bytes copied."""

class SavePlan:
    """What to save, checked."""

    def __init__(self, configs: Sequence[tuple[str, str, bool]], selected: Sequence[str], facts: str, safe_serialization: bool, initial: str | os.PathLike | None, card: object, durability: str) -> None: ...

    @overload
    def write(self, tensors: LiveTensors, directory: str | os.PathLike) -> list:
        """Saves, and returns the findings."""

    @overload
    def write(self, tensors: Snapshot, directory: str | os.PathLike) -> list: ...

class SafetensorsFile:
    """
    An opened .safetensors file: checked in full once (rules ST-*), then read without copies.
    """

    def __init__(self) -> None: ...

    @staticmethod
    def open(path: str | os.PathLike[str], *, backing: Literal['map', 'copy'] = 'map') -> SafetensorsFile:
        """
        Raises NotFoundError, IoError, CorruptError, UnsupportedError, LimitExceededError.
        """

    @staticmethod
    def from_bytes(data: bytes) -> SafetensorsFile:
        """The same over a copy of these bytes. Raises as open does."""

    def __len__(self) -> int: ...

    @property
    def names(self) -> list[str]:
        """In the order of their data in the file."""

    @property
    def metadata(self) -> dict[str, str] | None: ...

    @property
    def file_bytes(self) -> int: ...

    def __contains__(self, arg: str, /) -> bool: ...

    def dtype(self, name: str) -> str:
        """The name of the dtype in the header ("BF16")."""

    def shape(self, name: str) -> tuple[int, ...]: ...

    def tensor(self, name: str, framework: Literal['torch', 'numpy'] = 'torch') -> Any:
        """
        A view of the file's private mapping, which it keeps alive: writable, the file never changes.
        """

    def tensors(self, framework: Literal['torch', 'numpy'] = 'torch') -> dict[str, Any]:
        """All of them by name, in the order of their data in the file."""

    def range(self, name: str) -> FileRange:
        """Where the bytes of a tensor are in the file, for own I/O."""

    def byte_array(self, name: str) -> bytearray:
        """A copy of the tensor's bytes."""

    def __repr__(self) -> str: ...

class TensorSpec:
    """
    A tensor by its address, for serialize() and serialize_file(): the memory must stay as it is while they run.

    For float4_e2m1fn_x2 the last dimension is doubled: shape counts elements.
    """

    def __init__(self, *, dtype: str, shape: Sequence[int], data_ptr: int, data_len: int) -> None: ...

    @property
    def dtype(self) -> str:
        """As in the header ("F32")."""

    @property
    def shape(self) -> list[int]: ...

    @property
    def data_ptr(self) -> int: ...

    @property
    def data_len(self) -> int: ...

    def __repr__(self) -> str: ...

def serialize(tensor_dict: dict[str, TensorSpec], metadata: dict[str, str] | None = None) -> bytes:
    """The bytes of a safetensors file. Raises SafetensorError."""

def serialize_file(tensor_dict: dict[str, TensorSpec], filename: str | os.PathLike[str], metadata: dict[str, str] | None = None) -> None:
    """
    Writes them to a file, which appears whole or not at all; the GIL is released meanwhile. Raises SafetensorError.
    """
