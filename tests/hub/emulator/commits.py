# SPDX-License-Identifier: Apache-2.0
"""Preupload and commit: what the Hub takes, refuses, and makes of it."""
import base64
import fnmatch
import hashlib
import json

import yaml

from . import discussions
from .wire import HttpError, json_response
from .world import File, REPO_PART

LARGE = 10 << 20
MAX_FILES = 256
STALE = "The branch was updated since you opened this page. Please refresh and try again."


def card_problems(content):
    """(errors, warnings) of a README.md's metadata, as /api/validate-yaml has them."""
    lines = content.replace("\r\n", "\n").split("\n")
    if lines[0].strip("\ufeff") != "---" or "---" not in lines[1:]:
        return [], [{"message": "empty or missing yaml metadata in repo card"}]
    try:
        metadata = yaml.safe_load("\n".join(lines[1 : lines.index("---", 1)]))
    except yaml.YAMLError as error:
        return [{"message": f"Invalid YAML in metadata: {str(error).splitlines()[0]}"}], []
    if metadata is None:
        return [], [{"message": "empty or missing yaml metadata in repo card"}]
    if not isinstance(metadata, dict):
        return [{"message": "metadata must be a mapping"}], []
    errors = []
    base = metadata.get("base_model")
    for one in base if isinstance(base, list) else [base]:
        if one is not None and (not isinstance(one, str) or one.count("/") > 1 or not all(REPO_PART.match(p) for p in one.split("/"))):
            errors.append({"message": f'"base_model" with value "{one}" is not valid. Use a model id from https://hf.co/models.'})
    for name in ("license", "library_name", "pipeline_tag"):
        if name in metadata and not isinstance(metadata[name], (str, list)):
            errors.append({"message": f'"{name}" must be a string'})
    return errors, []


def is_binary(sample):
    if b"\0" in sample:
        return True
    try:
        sample.decode()
    except UnicodeDecodeError as error:
        return error.start < len(sample) - 4  # else a character cut by the sample's end
    return False


def tracked(attributes, path):
    """Whether .gitattributes gives `path` to git-lfs."""
    name = path.rsplit("/", 1)[-1]
    lfs = False
    for line in attributes.decode("utf-8", "replace").splitlines():
        fields = line.split()
        if not fields or fields[0].startswith("#"):
            continue
        pattern = fields[0]
        if fnmatch.fnmatchcase(path if "/" in pattern else name, pattern.replace("**/", "*")):
            lfs = "filter=lfs" in fields[1:]
    return lfs


def ignored(rules, path):
    return any(
        fnmatch.fnmatchcase(part, rule.strip().rstrip("/"))
        for rule in rules.splitlines()
        if rule.strip() and not rule.startswith("#")
        for part in [path, *path.split("/")]
    )


def preupload(hub, request, repo, revision):
    asked = request.json()
    if len(asked["files"]) > MAX_FILES:
        raise HttpError(413, f"Too many files: at most {MAX_FILES}")
    commit = hub.world.resolve(repo, revision)
    attributes = commit.files.get(".gitattributes", File()).content + asked.get("gitAttributes", "").encode()
    ignore = asked.get("gitIgnore", commit.files.get(".gitignore", File()).content.decode())
    answers = []
    for one in asked["files"]:
        path, sample = one["path"], base64.b64decode(one["sample"])
        large = tracked(attributes, path) or one["size"] > hub.lfs_threshold or is_binary(sample)
        answer = {"path": path, "uploadMode": "lfs" if large else "regular", "shouldIgnore": ignored(ignore, path)}
        if path in commit.files:
            file = commit.files[path]
            answer["oid"] = file.sha256 if file.lfs else file.oid
        answers.append(answer)
    return json_response({"files": answers, "commitOid": commit.oid})


def check_path(path):
    parts = path.split("/")
    if not path or any(p in ("", ".", "..", ".git") for p in parts):
        raise HttpError(400, f"Invalid path in repo: {path!r}")


def regular_file(path, value):
    text = value["content"]
    content = base64.b64decode(text, validate=True) if value.get("encoding", "base64") == "base64" else text.encode()
    if len(content) > LARGE:
        raise HttpError(400, "Your push was rejected because it contains files larger than 10 MiB. Please use https://git-lfs.github.com/ "
                        f"to store larger files. Offending files: - {path}")
    if is_binary(content):
        raise HttpError(400, "Your push was rejected because it contains binary files. Please use https://huggingface.co/docs/hub/xet to "
                        f"store binary files. Offending files: - {path}")
    return File(content)


def large_file(hub, repo, path, value):
    oid = value["oid"]
    if oid not in repo.objects or oid not in hub.world.storage:
        raise HttpError(400, f"Your push was rejected because an LFS pointer pointed to a file that does not exist. Offending file: - {path}")
    stored = hub.world.storage[oid]
    if hashlib.sha256(stored).hexdigest() != oid or value.get("size", len(stored)) != len(stored):
        raise HttpError(400, f"Your push was rejected: the object of {path} has another hash or size than its pointer")
    return File(sha256=oid, object_size=len(stored), xet=repo.objects[oid])


def apply(hub, repo, files, lines):
    """The content after the commit's lines; changes nothing yet."""
    files = dict(files)
    for line in lines:
        key, value = line["key"], line["value"]
        path = value["path"]
        check_path(path.rstrip("/") if key == "deletedFolder" else path)
        if key == "file":
            files[path] = regular_file(path, value)
        elif key == "lfsFile":
            files[path] = large_file(hub, repo, path, value)
            attributes = files.get(".gitattributes", File()).content
            if not tracked(attributes, path):
                files[".gitattributes"] = File(attributes + f"{path} filter=lfs diff=lfs merge=lfs -text\n".encode())
        elif key == "deletedFile":
            if path not in files:
                raise HttpError(404, f"Entry not found: {path}", "EntryNotFound")
            del files[path]
        elif key == "deletedFolder":
            files = {p: f for p, f in files.items() if not p.startswith(path.rstrip("/") + "/")}
        else:
            raise HttpError(400, f"Unknown line in commit: {key!r}")
        if path == "README.md" and key == "file":
            errors, _ = card_problems(files[path].content.decode("utf-8", "replace"))
            if errors:
                raise HttpError(400, "Invalid metadata in README.md: " + "; ".join(e["message"] for e in errors))
    check_names(files)
    return files


def check_names(files):
    for path in files:
        if any(other.startswith(path + "/") for other in files):
            raise HttpError(400, f"{path} is both a file and a folder")


def commit(hub, request, repo, branch, token, create_pr):
    if not request.headers.get("Content-Type", "").startswith("application/x-ndjson"):
        raise HttpError(400, "Content-Type must be application/x-ndjson")
    try:
        lines = [json.loads(line) for line in request.body.split(b"\n") if line.strip()]
        header = next(line["value"] for line in lines if line["key"] == "header")
    except (ValueError, KeyError, StopIteration) as error:
        raise HttpError(400, f"Malformed commit: {error!r}") from error
    if not header.get("summary"):
        raise HttpError(400, "Commit summary must not be empty")
    with hub.world.lock:
        if branch not in repo.refs:
            raise HttpError(404, f"Invalid rev id: {branch}", "RevisionNotFound")
        head = repo.refs[branch]
        parent = header.get("parentCommit")
        if parent and not head.startswith(parent):
            raise HttpError(412, STALE)
        files = apply(hub, repo, repo.commits[head].files, [line for line in lines if line["key"] != "header"])
        answer = {"success": True, "hookOutput": ""}
        if create_pr:
            discussion = discussions.open_pull_request(repo, header["summary"], header.get("description", ""), token.user, head)
            discussion.status = "open"
            branch = f"refs/pr/{discussion.num}"
            answer["pullRequestUrl"] = f"{hub.public_url}/{repo.web}/discussions/{discussion.num}"
        made = hub.world.commit(repo, branch, files, header["summary"], header.get("description", ""), token.user, parents=[head])
    answer.update(commitOid=made.oid, commitUrl=f"{hub.public_url}/{repo.web}/commit/{made.oid}")
    return json_response(answer)
