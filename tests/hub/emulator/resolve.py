# SPDX-License-Identifier: Apache-2.0
"""Downloads: resolve, its cache for small files, and raw."""
import urllib.parse

from .storage import serve_bytes
from .wire import HttpError, Response


def _entry(repo, commit, path):
    path = urllib.parse.unquote(path)
    if path not in commit.files:
        raise HttpError(404, "Entry not found", "EntryNotFound", {"X-Repo-Commit": commit.oid})
    return path, commit.files[path]


def _etag(hub, value):
    return ("W/" if hub.weak_etags else "") + f'"{value}"'


def resolve(hub, request, repo, revision, path, token):
    hub.world.check_content_access(repo, token)
    commit = hub.world.resolve(repo, revision)
    path, file = _entry(repo, commit, path)
    headers = {"X-Repo-Commit": commit.oid, "Cache-Control": "no-cache", "Vary": "Origin"}
    if file.lfs:
        headers |= {"X-Linked-Size": str(file.size), "X-Linked-Etag": f'"{file.sha256}"', "ETag": f'"{file.sha256}"'}
        if file.xet and hub.xet is not None:
            headers |= hub.xet.file_headers(repo, commit.oid, file)
            if "application/vnd.xet-fileinfo+json" in request.headers.get("Accept", ""):
                return Response(200, b"{}", {**headers, "Content-Type": "application/vnd.xet-fileinfo+json"})
        return Response(302, b"Found", {**headers, "Location": hub.cdn_url(file.sha256, path.rsplit("/", 1)[-1]), "Content-Type": "text/plain"})
    etag = _etag(hub, file.oid)
    if request.headers.get("If-None-Match") == etag:
        return Response(304, b"", {**headers, "ETag": etag})
    if hub.resolve_cache and not repo.private and not repo.gated and file.content:
        quoted = urllib.parse.quote(path)
        tail = urllib.parse.quote(f"/{repo.id}/resolve/{urllib.parse.unquote(revision)}/{path}", safe="")
        location = f"/api/resolve-cache/{repo.plural}/{repo.id}/{commit.oid}/{quoted}?{tail}=&etag=%22{file.oid}%22"
        return Response(307, b"Temporary Redirect", {**headers, "Location": location, "Content-Type": "text/plain"})
    return _content(hub, request, file, headers)


def resolve_cache(hub, request, repo, revision, path, token):
    hub.world.check_content_access(repo, token)
    commit = repo.commits.get(revision)
    if commit is None:
        raise HttpError(400, "Invalid revision: a full commit id is needed")
    _, file = _entry(repo, commit, path)
    return _content(hub, request, file, {"X-Repo-Commit": commit.oid})


def _content(hub, request, file, headers):
    headers = {**headers, "ETag": _etag(hub, file.oid), "Content-Type": "text/plain; charset=utf-8",
               "Content-Disposition": "inline"}
    if hub.gzip_content and "gzip" in request.headers.get("Accept-Encoding", ""):
        import gzip

        # As behind a proxy that compresses on the fly: the length is unknown.
        return Response(200, iter([gzip.compress(file.content)]), {**headers, "Content-Encoding": "gzip"}, None)
    return serve_bytes(request, file.content, headers)


def raw(hub, request, repo, revision, path, token):
    hub.world.check_content_access(repo, token)
    commit = hub.world.resolve(repo, revision)
    _, file = _entry(repo, commit, path)
    return serve_bytes(request, file.git_content, {"X-Repo-Commit": commit.oid, "ETag": f'"{file.oid}"', "Content-Type": "text/plain; charset=utf-8"})
