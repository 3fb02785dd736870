# SPDX-License-Identifier: Apache-2.0
"""What the Hub knows: accounts, tokens, repositories and their history."""
import dataclasses
import re
import secrets
import threading
import urllib.parse

from . import git_objects
from .wire import HttpError

GITATTRIBUTES = "".join(
    f"{pattern} filter=lfs diff=lfs merge=lfs -text\n"
    for pattern in "*.7z *.arrow *.bin *.bz2 *.ckpt *.gz *.h5 *.model *.msgpack *.npy *.npz *.onnx *.parquet *.pickle *.pkl *.pt *.pth "
    "*.safetensors saved_model/**/* *.tar.* *.tar *.tflite *.tgz *.wasm *.xz *.zip *.zst *tfevents*".split()
).encode()
EPOCH = 1767225600  # 2026-01-01
REPO_PART = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$")


@dataclasses.dataclass
class Account:
    name: str
    kind: str = "user"  # or "org"
    members: dict = dataclasses.field(default_factory=dict)  # of an organisation: {user: "read"|"contributor"|"write"|"admin"}


@dataclasses.dataclass
class Token:
    value: str
    user: str
    role: str = "write"  # or "read", "fineGrained"
    scopes: tuple = ()  # of a fine-grained token: the ids it may write


@dataclasses.dataclass(frozen=True)
class File:
    """A file of a commit: its content, or the object that its pointer names."""

    content: bytes = b""
    sha256: str = ""
    object_size: int = 0
    xet: str = ""

    @property
    def lfs(self):
        return bool(self.sha256)

    @property
    def size(self):
        return self.object_size if self.lfs else len(self.content)

    @property
    def git_content(self):
        return git_objects.pointer(self.sha256, self.object_size) if self.lfs else self.content

    @property
    def oid(self):
        return git_objects.blob_id(self.git_content)


@dataclasses.dataclass
class Commit:
    oid: str
    parents: list
    files: dict
    title: str
    description: str
    author: str
    when: int


@dataclasses.dataclass
class Discussion:
    num: int
    title: str
    author: str
    description: str = ""
    is_pull_request: bool = True
    status: str = "draft"
    base: str = ""


@dataclasses.dataclass
class Repo:
    id: str
    type: str = "model"
    private: bool = False
    gated: object = False  # or "auto", "manual"
    disabled: bool = False
    granted: set = dataclasses.field(default_factory=set)  # users let into a gated repository
    refs: dict = dataclasses.field(default_factory=dict)  # "main", "refs/pr/1", "refs/tags/v1": commit
    commits: dict = dataclasses.field(default_factory=dict)
    objects: dict = dataclasses.field(default_factory=dict)  # sha256: xet hash or "": objects are a repository's own
    discussions: dict = dataclasses.field(default_factory=dict)
    number: str = dataclasses.field(default_factory=lambda: secrets.token_hex(12))

    @property
    def namespace(self):
        return self.id.split("/")[0]

    @property
    def plural(self):
        return self.type + "s"

    @property
    def web(self):
        """The path of its pages, which for a model has no prefix."""
        return self.id if self.type == "model" else f"{self.plural}/{self.id}"

    def head(self, branch="main"):
        return self.commits[self.refs[branch]]

    def files(self, branch="main"):
        return self.head(branch).files


class World:
    def __init__(self):
        self.lock = threading.RLock()
        self.accounts, self.tokens, self.repos, self.moved = {}, {}, {}, {}
        self.storage = {}  # sha256: bytes
        self.seconds = 0

    # --- accounts

    def add_user(self, name):
        self.accounts[name] = Account(name)
        return self.add_token(name)

    def add_token(self, user, role="write", scopes=()):
        token = Token("hf_" + secrets.token_hex(17), user, role, tuple(scopes))
        self.tokens[token.value] = token
        return token.value

    def add_org(self, name, **members):
        self.accounts[name] = Account(name, "org", members)

    def token_of(self, request):
        """The Token of a request, or None without one; a bad one is an error, as on the Hub."""
        header = request.headers.get("Authorization")
        if not header:
            return None
        kind, _, value = header.partition(" ")
        if kind == "Basic":
            import base64

            value = base64.b64decode(value).decode().partition(":")[2]
        if value not in self.tokens:
            raise HttpError(401, "Invalid credentials in Authorization header")
        return self.tokens[value]

    def may(self, token, namespace):
        """What a token's user is in a namespace: "admin", "write", "contributor", "read" or ""."""
        if token is None:
            return ""
        if token.user == namespace:
            return "admin"
        account = self.accounts.get(namespace)
        return account.members.get(token.user, "") if account else ""

    def may_write(self, token, repo_id):
        if token is None or token.role == "read":
            return False
        if token.role == "fineGrained" and repo_id not in token.scopes and repo_id.split("/")[0] not in token.scopes:
            return False
        return self.may(token, repo_id.split("/")[0]) in ("admin", "write", "contributor")

    # --- repositories

    def create(self, repo_id, type="model", private=False, user=None, files=None, **fields):
        repo = Repo(repo_id, type, private, **fields)
        self.repos[(type, repo_id)] = repo
        content = {".gitattributes": File(GITATTRIBUTES), **(files or {})}
        self.commit(repo, "main", content, "initial commit", author=user or repo.namespace)
        return repo

    def lookup(self, type, repo_id):
        return self.repos.get((type, repo_id))

    def readable(self, type, repo_id, token):
        """The repository, if the token's user may know of it."""
        repo = self.lookup(type, repo_id)
        if repo is None or (repo.private and not self.may(token, repo.namespace)):
            if token is None:
                raise HttpError(401, "Invalid username or password.", "RepoNotFound")
            raise HttpError(404, "Repository not found", "RepoNotFound")
        if repo.disabled:
            raise HttpError(403, "Access to this resource is disabled.")
        return repo

    def writable(self, type, repo_id, token, create_pr=False, branch="main"):
        repo = self.readable(type, repo_id, token)
        if token is None:
            raise HttpError(401, "Invalid username or password.", "RepoNotFound")
        if self.may_write(token, repo_id):
            return repo
        pull = create_pr or branch.startswith("refs/pr/")
        if pull and token.role != "read" and not repo.private:
            return repo
        raise HttpError(403, "Forbidden: pass `create_pr=1` as a query parameter to create a Pull Request")

    def check_content_access(self, repo, token):
        if repo.gated and not self.may(token, repo.namespace) and (token is None or token.user not in repo.granted):
            if token is None:
                raise HttpError(401, f"Access to model {repo.id} is restricted. You must have access to it and be authenticated to access it. "
                                "Please log in.", "GatedRepo")
            raise HttpError(403, f"Access to model {repo.id} is restricted and you are not in the authorized list. "
                            f"Visit https://huggingface.co/{repo.id} to ask for access.", "GatedRepo")

    def resolve(self, repo, revision):
        """The commit of a branch, tag, pull request or (shortened) id."""
        revision = urllib.parse.unquote(revision)
        for name in (revision, f"refs/tags/{revision}", revision.removeprefix("refs/heads/"), {"HEAD": "main"}.get(revision)):
            if name in repo.refs:
                return repo.commits[repo.refs[name]]
        if re.fullmatch(r"[0-9a-f]{7,40}", revision):
            found = [c for oid, c in repo.commits.items() if oid.startswith(revision)]
            if len(found) == 1:
                return found[0]
        raise HttpError(404, f"Invalid rev id: {revision}", "RevisionNotFound")

    def commit(self, repo, branch, files, title, description="", author="", parents=None):
        """Makes `files` the whole content of `branch`."""
        with self.lock:
            if parents is None:
                parents = [repo.refs[branch]] if branch in repo.refs else []
            self.seconds += 1
            when = EPOCH + self.seconds
            _, trees = git_objects.trees({path: file.oid for path, file in files.items()})
            message = title + ("\n\n" + description if description else "")
            text = git_objects.commit_text(trees[""], parents, author, f"{author}@users.noreply.example", when, message)
            commit = Commit(git_objects.object_id("commit", text), parents, dict(files), title, description, author, when)
            repo.commits[commit.oid] = commit
            repo.refs[branch] = commit.oid
            return commit

    def put(self, repo, files, branch="main", title="Update"):
        """For tests: adds or replaces {path: bytes}, large or binary ones as objects."""
        import hashlib

        merged = dict(repo.files(branch)) if branch in repo.refs else {}
        for path, content in files.items():
            if path.endswith((".safetensors", ".bin")) or b"\0" in content[:512]:
                oid = hashlib.sha256(content).hexdigest()
                self.storage[oid] = content
                repo.objects.setdefault(oid, "")
                merged[path] = File(sha256=oid, object_size=len(content))
            else:
                merged[path] = File(content)
        return self.commit(repo, branch, merged, title, author=repo.namespace)

    def content(self, file):
        return self.storage[file.sha256] if file.lfs else file.content
