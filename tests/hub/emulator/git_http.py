# SPDX-License-Identifier: Apache-2.0
"""git's own protocol: `git clone` and fetch, by git upload-pack over a bare repository made of the commits."""
import pathlib
import subprocess
import tempfile
import zlib

from . import git_objects
from .wire import HttpError, Response


def export(world, repo, folder):
    """Writes all commits of `repo` as loose objects and refs under `folder`."""
    folder = pathlib.Path(folder)
    for name in ("objects", "refs/heads", "refs/tags"):
        (folder / name).mkdir(parents=True)
    (folder / "HEAD").write_text("ref: refs/heads/main\n")
    (folder / "config").write_text("[core]\nrepositoryformatversion = 0\nbare = true\n")

    def write(kind, content):
        oid = git_objects.object_id(kind, content)
        path = folder / "objects" / oid[:2] / oid[2:]
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(zlib.compress(b"%s %d\0" % (kind.encode(), len(content)) + content, 1))
        return oid

    for commit in repo.commits.values():
        for file in commit.files.values():
            write("blob", file.git_content)
        trees, ids = git_objects.trees({path: file.oid for path, file in commit.files.items()})
        for content in trees.values():
            write("tree", content)
        message = commit.title + ("\n\n" + commit.description if commit.description else "")
        write("commit", git_objects.commit_text(ids[""], commit.parents, commit.author, f"{commit.author}@users.noreply.example", commit.when, message))
    for ref, oid in repo.refs.items():
        path = folder / (ref if ref.startswith("refs/") else f"refs/heads/{ref}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(oid + "\n")


def _upload_pack(hub, repo, arguments, stdin, protocol):
    with tempfile.TemporaryDirectory() as folder:
        export(hub.world, repo, folder)
        environment = {"PATH": "/usr/bin:/bin", "GIT_PROTOCOL": protocol, "HOME": folder, "GIT_CONFIG_COUNT": "1",
                       "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
        done = subprocess.run(["git", "upload-pack", "--stateless-rpc", *arguments, folder], input=stdin, capture_output=True, env=environment, timeout=60)
    if done.returncode and not done.stdout:
        raise HttpError(500, done.stderr.decode("utf-8", "replace"))
    return done.stdout


def add_routes(route, prefix):
    def found(hub, request, plural, repo_id):
        token = hub.world.token_of(request)
        try:
            repo = hub.world.readable(plural[:-1] if plural else "model", repo_id, token)
        except HttpError as error:
            raise HttpError(401, error.message, error.code, {"WWW-Authenticate": 'Basic realm="Authentication required"'}) from error
        hub.world.check_content_access(repo, token)
        return repo

    @route("GET", prefix + r"(?:\.git)?/info/refs")
    def info_refs(hub, request, plural, repo_id):
        repo = found(hub, request, plural, repo_id)
        service = request.query.get("service")
        if service != "git-upload-pack":
            raise HttpError(403, "Only fetching here")
        body = git_objects.pkt_line(f"# service={service}\n") + b"0000"
        body += _upload_pack(hub, repo, ["--advertise-refs"], b"", request.headers.get("Git-Protocol", ""))
        return Response(200, body, {"Content-Type": f"application/x-{service}-advertisement", "Cache-Control": "no-cache"})

    @route("POST", prefix + r"(?:\.git)?/git-upload-pack")
    def upload_pack(hub, request, plural, repo_id):
        repo = found(hub, request, plural, repo_id)
        body = request.body
        if request.headers.get("Content-Encoding") == "gzip":
            body = zlib.decompress(body, 31)
        return Response(200, _upload_pack(hub, repo, [], body, request.headers.get("Git-Protocol", "")),
                        {"Content-Type": "application/x-git-upload-pack-result", "Cache-Control": "no-cache"})
