# SPDX-License-Identifier: Apache-2.0
"""The Hub's JSON API, and the table of all its routes."""
import re
import urllib.parse

from . import commits, discussions, git_http, lfs, resolve, xet
from .wire import HttpError, Response, json_response
from .world import REPO_PART

ROUTES = []
REPO = r"/api/(models|datasets|spaces)/([^/]+/[^/]+)"
WEB = r"/(?:(datasets|spaces)/)?([^/]+/[^/]+)"


def route(methods, pattern):
    def keep(function):
        ROUTES.append((methods.split(), re.compile(pattern), function))
        return function

    return keep


def handle(hub, request):
    for methods, pattern, function in ROUTES:
        found = pattern.fullmatch(request.path)
        if found and request.method in methods:
            with hub.world.lock:
                return function(hub, request, *found.groups())
    raise HttpError(404, "Sorry, we can't find the page you are looking for.")


def singular(plural):
    return plural[:-1] if plural else "model"


def read(hub, request, plural, repo_id):
    token = hub.world.token_of(request)
    return hub.world.readable(singular(plural), repo_id, token), token


def page(hub, request, items):
    """One page of a list, with the Link to the next."""
    size = int(request.query.get("limit", hub.page_size))
    start = int(request.query.get("cursor", 0))
    headers = {}
    if start + size < len(items):
        query = urllib.parse.urlencode({**request.query, "cursor": start + size})
        headers["Link"] = f'<{hub.public_url}{request.path}?{query}>; rel="next"'
    return json_response(items[start : start + size], 200, headers)


# --- accounts


@route("GET", r"/api/whoami-v2")
def whoami(hub, request):
    token = hub.world.token_of(request)
    if token is None:
        raise HttpError(401, "Invalid username or password.")
    orgs = [{"type": "org", "id": a.name, "name": a.name, "fullname": a.name, "roleInOrg": a.members[token.user]}
            for a in hub.world.accounts.values() if a.kind == "org" and token.user in a.members]
    return json_response({"type": "user", "id": token.user, "name": token.user, "fullname": token.user, "isPro": False, "orgs": orgs,
                          "auth": {"type": "access_token", "accessToken": {"displayName": "test", "role": token.role}}})


@route("GET", r"/api/agent-harnesses")
def agent_harnesses(hub, request):
    return json_response({"standardEnvVars": [], "harnesses": {}})


@route("POST", r"/api/validate-yaml")
def validate_yaml(hub, request):
    errors, warnings = commits.card_problems(request.json()["content"])
    return json_response({"errors": errors, "warnings": warnings}, 400 if errors else 200)


# --- repositories


@route("POST", r"/api/repos/create")
def create(hub, request):
    token = hub.world.token_of(request)
    if token is None:
        raise HttpError(401, "Invalid username or password.")
    asked = request.json()
    kind = asked.get("type") or "model"
    namespace = asked.get("organization") or token.user
    repo_id = f"{namespace}/{asked['name']}"
    if not all(REPO_PART.match(p) for p in (namespace, asked["name"])) or "--" in repo_id or ".." in repo_id or len(asked["name"]) > 96:
        raise HttpError(400, f"Invalid repo name: {repo_id}")
    url = f"{hub.public_url}/{repo_id}" if kind == "model" else f"{hub.public_url}/{kind}s/{repo_id}"
    if not hub.world.may_write(token, repo_id):
        raise HttpError(403, f'You don\'t have the rights to create a {kind} under the namespace "{namespace}"')
    repo_id = hub.world.moved.get((kind, repo_id), repo_id)
    if hub.world.lookup(kind, repo_id):
        return json_response({"error": f"You already created this {kind} repo", "url": url}, 409, {"X-Error-Message": f"You already created this {kind} repo"})
    private = asked.get("private", False) or asked.get("visibility") == "private"
    if "private" not in asked and "visibility" not in asked and namespace in hub.private_by_default:
        private = True
    repo = hub.world.create(repo_id, kind, bool(private), token.user)
    return json_response({"url": url, "name": repo_id, "id": repo.number})


@route("DELETE", r"/api/repos/delete")
def delete(hub, request):
    token = hub.world.token_of(request)
    asked = request.json()
    repo_id = f"{asked.get('organization') or token.user}/{asked['name']}"
    repo = hub.world.writable(asked.get("type") or "model", repo_id, token)
    del hub.world.repos[(repo.type, repo.id)]
    return Response(200, b"OK", {"Content-Type": "text/plain"})


@route("POST", r"/api/repos/move")
def move(hub, request):
    token = hub.world.token_of(request)
    asked = request.json()
    repo = hub.world.writable(asked.get("type") or "model", asked["fromRepo"], token)
    hub.rename(repo, asked["toRepo"])
    return Response(200, b"OK", {"Content-Type": "text/plain"})


@route("PUT", REPO + r"/settings")
def settings(hub, request, plural, repo_id):
    token = hub.world.token_of(request)
    repo = hub.world.writable(singular(plural), repo_id, token)
    asked = request.json()
    if "visibility" in asked or "private" in asked:
        repo.private = asked.get("private", asked.get("visibility") == "private")
    repo.gated = asked.get("gated", repo.gated)
    return json_response({"private": repo.private, "gated": repo.gated})


def file_entry(file, path):
    entry = {"type": "file", "oid": file.oid, "size": file.size, "path": path}
    if file.lfs:
        entry["lfs"] = {"oid": file.sha256, "size": file.size, "pointerSize": len(file.git_content)}
        if file.xet:
            entry["xetHash"] = file.xet
    return entry


@route("GET HEAD", REPO + r"(?:/revision/([^/]+))?")
def info(hub, request, plural, repo_id, revision=None):
    repo, _ = read(hub, request, plural, repo_id)
    commit = hub.world.resolve(repo, revision or "main")
    siblings = []
    for path, file in sorted(commit.files.items()):
        one = {"rfilename": path}
        if request.query.get("blobs") in ("true", "True", "1"):
            one |= {"blobId": file.oid, "size": file.size}
            if file.lfs:
                one["lfs"] = {"sha256": file.sha256, "size": file.size, "pointerSize": len(file.git_content)}
        siblings.append(one)
    stamp = "2026-01-01T00:00:00.000Z"
    return json_response({"_id": repo.number, "id": repo.id, "modelId": repo.id, "author": repo.namespace, "sha": commit.oid, "lastModified": stamp,
                          "private": repo.private, "gated": repo.gated, "disabled": repo.disabled, "downloads": 0, "likes": 0, "tags": [],
                          "siblings": siblings, "createdAt": stamp, "usedStorage": 0})


@route("GET", REPO + r"/auth-check(/write)?")
def auth_check(hub, request, plural, repo_id, write):
    repo, token = read(hub, request, plural, repo_id)
    hub.world.writable(repo.type, repo_id, token) if write else hub.world.check_content_access(repo, token)
    return json_response({})


# --- history and content


@route("GET", REPO + r"/tree/([^/]+)(?:/(.*))?")
def tree(hub, request, plural, repo_id, revision, folder):
    repo, _ = read(hub, request, plural, repo_id)
    commit = hub.world.resolve(repo, revision)
    folder = urllib.parse.unquote(folder or "").strip("/")
    prefix = folder + "/" if folder else ""
    recursive = request.query.get("recursive", "").lower() in ("true", "1")
    items, folders = [], {}
    for path, file in sorted(commit.files.items()):
        if not path.startswith(prefix):
            continue
        parts = path[len(prefix) :].split("/")
        for depth in range(1, len(parts) if recursive else min(2, len(parts))):
            name = prefix + "/".join(parts[:depth])
            folders.setdefault(name, {"type": "directory", "oid": "0" * 40, "size": 0, "path": name})
        if recursive or len(parts) == 1:
            items.append(file_entry(file, path))
    if folder and not items and not folders:
        raise HttpError(404, f"{folder} does not exist on \"{revision}\"", "EntryNotFound", {"X-Repo-Commit": commit.oid})
    return page(hub, request, sorted([*folders.values(), *items], key=lambda e: e["path"]))


@route("POST", REPO + r"/paths-info/([^/]+)")
def paths_info(hub, request, plural, repo_id, revision):
    repo, _ = read(hub, request, plural, repo_id)
    commit = hub.world.resolve(repo, revision)
    if request.headers.get("Content-Type", "").startswith("application/json"):
        paths = request.json()["paths"]
    else:
        paths = urllib.parse.parse_qs(request.body.decode())["paths"]
    paths = [paths] if isinstance(paths, str) else paths
    if len(paths) > 1000:
        raise HttpError(413, "Too many paths")
    entries = []
    for path in paths:
        if path in commit.files:
            entries.append(file_entry(commit.files[path], path))
        elif any(p.startswith(path + "/") for p in commit.files):
            entries.append({"type": "directory", "oid": "0" * 40, "size": 0, "path": path})
    return json_response(entries)


@route("GET", REPO + r"/refs")
def refs(hub, request, plural, repo_id):
    repo, _ = read(hub, request, plural, repo_id)
    answer = {"branches": [], "converts": [], "tags": []}
    if request.query.get("include_prs"):
        answer["pullRequests"] = []
    for ref, oid in sorted(repo.refs.items()):
        kind = "tags" if ref.startswith("refs/tags/") else "pullRequests" if ref.startswith("refs/pr/") else "branches"
        full = ref if ref.startswith("refs/") else f"refs/heads/{ref}"
        if kind in answer:
            answer[kind].append({"name": ref.split("/")[-1] if ref.startswith("refs/") else ref, "ref": full, "targetCommit": oid})
    return json_response(answer)


@route("GET", REPO + r"/commits/([^/]+)")
def history(hub, request, plural, repo_id, revision):
    repo, _ = read(hub, request, plural, repo_id)
    commit, items = hub.world.resolve(repo, revision), []
    while commit:
        items.append({"id": commit.oid, "title": commit.title, "message": commit.description, "date": "2026-01-01T00:00:00.000Z",
                      "authors": [{"user": commit.author, "avatar": ""}]})
        commit = repo.commits[commit.parents[0]] if commit.parents else None
    return page(hub, request, items)


@route("POST DELETE", REPO + r"/branch/([^/]+)")
def branch(hub, request, plural, repo_id, name):
    token = hub.world.token_of(request)
    repo = hub.world.writable(singular(plural), repo_id, token)
    name = urllib.parse.unquote(name)
    if name.startswith("refs/"):
        raise HttpError(400, "Invalid reference for a branch")
    if request.method == "DELETE":
        if repo.refs.pop(name, None) is None:
            raise HttpError(404, f"Invalid rev id: {name}", "RevisionNotFound")
        return Response(200)
    asked = request.json()
    if name in repo.refs and not asked.get("overwrite"):
        raise HttpError(409, f"Reference already exists: {name}")
    start = hub.world.resolve(repo, urllib.parse.quote(asked.get("startingPoint") or "main", safe=""))
    repo.refs[name] = start.oid
    return Response(200)


@route("POST", REPO + r"/tag/([^/]+)")
def tag(hub, request, plural, repo_id, revision):
    token = hub.world.token_of(request)
    repo = hub.world.writable(singular(plural), repo_id, token)
    ref = "refs/tags/" + request.json()["tag"]
    if ref in repo.refs:
        raise HttpError(409, f"Tag reference exists already: {ref}")
    repo.refs[ref] = hub.world.resolve(repo, revision).oid
    return Response(200)


# --- upload


@route("POST", REPO + r"/preupload/([^/]+)")
def preupload(hub, request, plural, repo_id, revision):
    token = hub.world.token_of(request)
    create_pr = request.query.get("create_pr") == "1"
    repo = hub.world.writable(singular(plural), repo_id, token, create_pr, urllib.parse.unquote(revision))
    return commits.preupload(hub, request, repo, revision)


@route("POST", REPO + r"/commit/([^/]+)")
def commit(hub, request, plural, repo_id, revision):
    token = hub.world.token_of(request)
    create_pr, branch = request.query.get("create_pr") == "1", urllib.parse.unquote(revision)
    repo = hub.world.writable(singular(plural), repo_id, token, create_pr, branch)
    return commits.commit(hub, request, repo, branch, token, create_pr)


@route("POST", WEB + r"\.git/info/lfs/objects/batch")
def lfs_batch(hub, request, plural, repo_id):
    repo, token = read(hub, request, plural, repo_id)
    return lfs.batch(hub, request, repo, token)


@route("POST", WEB + r"\.git/info/lfs/objects/verify")
def lfs_verify(hub, request, plural, repo_id):
    repo = hub.world.lookup(singular(plural), repo_id)
    if repo is None:
        raise HttpError(404, "Repository not found", "RepoNotFound")
    return lfs.verify(hub, request, repo)


# --- download


def renamed(hub, request, plural, repo_id):
    """The answer for a repository's old name, or None."""
    new = hub.world.moved.get((singular(plural), repo_id))
    if new is None:
        return None
    return Response(307, b"", {"Location": request.target.replace(f"/{repo_id}", f"/{new}", 1)})


@route("GET HEAD", WEB + r"/resolve/([^/]+)/(.+)")
def resolve_file(hub, request, plural, repo_id, revision, path):
    repo, token = read(hub, request, plural, repo_id)
    return resolve.resolve(hub, request, repo, revision, path, token)


@route("GET HEAD", r"/api/resolve-cache/(models|datasets|spaces)/([^/]+/[^/]+)/([^/]+)/(.+)")
def resolve_cached(hub, request, plural, repo_id, revision, path):
    repo, token = read(hub, request, plural, repo_id)
    return resolve.resolve_cache(hub, request, repo, revision, path, token)


@route("GET HEAD", WEB + r"/raw/([^/]+)/(.+)")
def raw_file(hub, request, plural, repo_id, revision, path):
    repo, token = read(hub, request, plural, repo_id)
    return resolve.raw(hub, request, repo, revision, path, token)


discussions.add_routes(route, REPO)
git_http.add_routes(route, WEB)
xet.add_routes(route, REPO)
