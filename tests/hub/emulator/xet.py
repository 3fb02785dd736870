# SPDX-License-Identifier: Apache-2.0
"""Xet's content-addressed store, as far as hf_xet and the JavaScript client use it. Lives on the storage origin."""
import hashlib
import re
import secrets
import struct
import time
import urllib.parse

import lz4.frame

from .storage import serve_bytes
from .wire import HttpError, Response, json_response

BOOKEND = b"\xff" * 32
VERIFICATION, METADATA = 1 << 31, 1 << 30


def hash_text(raw):
    """Xet spells a hash as four little-endian numbers."""
    return "".join(f"{word:016x}" for word in struct.unpack("<4Q", raw))


def ungroup(data):
    """Undoes the grouping of bytes by their place in a word of four."""
    whole, rest = divmod(len(data), 4)
    out, at = bytearray(len(data)), 0
    for place in range(4):
        count = whole + (place < rest)
        out[place::4] = data[at : at + count]
        at += count
    return bytes(out)


def chunks_of(xorb):
    """[(start, end of its bytes in the xorb, content)] of each chunk."""
    found, at = [], 0
    while at + 8 <= len(xorb) and not xorb.startswith(b"XETBLOB", at):
        stored = int.from_bytes(xorb[at + 1 : at + 4], "little")
        scheme, raw = xorb[at + 4], int.from_bytes(xorb[at + 5 : at + 8], "little")
        data = xorb[at + 8 : at + 8 + stored]
        if scheme in (1, 2):
            data = lz4.frame.decompress(data)
        if scheme == 2:
            data = ungroup(data)
        if len(data) != raw:
            raise HttpError(400, "A chunk has another length than its header says")
        found.append((at, at + 8 + stored, data))
        at += 8 + stored
    return found


def files_of(shard):
    """[(file hash, sha256, [(xorb, first chunk, end chunk, bytes)])] of a shard's file section."""
    at, found = 48, []
    while shard[at : at + 32] != BOOKEND:
        name = hash_text(shard[at : at + 32])
        flags, count = struct.unpack_from("<II", shard, at + 32)
        at += 48
        terms = []
        for _ in range(count):
            _, size, first, end = struct.unpack_from("<4I", shard, at + 32)
            terms.append((hash_text(shard[at : at + 32]), first, end, size))
            at += 48
        at += 48 * count if flags & VERIFICATION else 0
        sha256 = ""
        if flags & METADATA:
            sha256 = hash_text(shard[at : at + 32])
            at += 48
        found.append((name, sha256, terms))
    return found


class Xet:
    def __init__(self, hub):
        self.hub = hub
        self.tokens, self.xorbs, self.files = {}, {}, {}

    @property
    def url(self):
        return self.hub.storage.url + "/cas"

    def _token(self, repo, write):
        value = "xet_" + secrets.token_hex(16)
        self.tokens[value] = (repo, write)
        return value, int(time.time()) + 3600

    def token(self, repo, write):
        value, expires = self._token(repo, write)
        return json_response({"accessToken": value, "exp": expires, "casUrl": self.url}, 200, self._headers(value, expires))

    def _headers(self, value, expires):
        return {"X-Xet-Cas-Url": self.url, "X-Xet-Access-Token": value, "X-Xet-Token-Expiration": str(expires)}

    def batch_object(self, repo, one):
        """What a client of the LFS batch gets that said it speaks Xet."""
        answer = {"oid": one["oid"], "size": one["size"]}
        if one["oid"] in repo.objects:
            return answer
        value, expires = self._token(repo, True)
        href = f"{self.hub.public_url}/api/{repo.plural}/{repo.id}/xet-write-token/main"
        header = {**self._headers(value, expires), "X-Xet-Session-Id": secrets.token_hex(8)}
        return {**answer, "authenticated": True, "actions": {"upload": {"href": href, "header": header, "expires_in": 3600}}}

    def file_headers(self, repo, commit, file):
        refresh = f"{self.hub.public_url}/api/{repo.plural}/{repo.id}/xet-read-token/{commit}"
        return {"X-Xet-Hash": file.xet, "X-Xet-Refresh-Route": refresh.removeprefix(self.hub.public_url),
                "Link": f'<{refresh}>; rel="xet-auth", <{self.url}/v1/reconstructions/{file.xet}>; rel="xet-reconstruction-info"'}

    # --- the store

    def handle(self, request):
        path = request.path.removeprefix("/cas")
        if data := re.fullmatch(r"/data/([0-9a-f]{64})", path):
            if "Authorization" in request.headers:
                raise HttpError(400, "Only one auth mechanism allowed")
            return serve_bytes(request, self.xorbs[data[1]], {})
        repo, write = self._allowed(request)
        if request.method == "POST" and write:
            if found := re.fullmatch(r"/v1/xorbs/[^/]+/([0-9a-f]{64})", path):
                return self._put_xorb(found[1], request.body)
            if path == "/v1/shards":
                return self._put_shard(repo, request.body)
        if request.method == "GET" and (found := re.fullmatch(r"/v2/reconstructions/([0-9a-f]{64})", path)):
            return self._reconstruction(found[1], request.headers.get("Range"))
        raise HttpError(404, "Not found")

    def _allowed(self, request):
        value = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if value not in self.tokens:
            raise HttpError(401, "Unauthorized")
        return self.tokens[value]

    def _put_xorb(self, name, body):
        chunks_of(body)
        inserted = name not in self.xorbs
        self.xorbs[name] = body
        return json_response({"was_inserted": inserted})

    def _put_shard(self, repo, body):
        for name, sha256, terms in files_of(body):
            if any(xorb not in self.xorbs for xorb, *_ in terms):
                raise HttpError(400, "The shard speaks of a xorb that was not uploaded")
            whole = b"".join(data for xorb, first, end, _ in terms for _, _, data in chunks_of(self.xorbs[xorb])[first:end])
            if hashlib.sha256(whole).hexdigest() != sha256:
                raise HttpError(400, "The file has another SHA-256 than the shard says")
            self.files[name] = terms
            self.hub.world.storage[sha256] = whole
            repo.objects[sha256] = name
        return json_response({"result": 1})

    def _reconstruction(self, name, wanted):
        terms = self.files.get(name)
        if terms is None:
            raise HttpError(404, "Unknown file")
        total = sum(size for *_, size in terms)
        start, last = 0, total - 1
        if wanted and (found := re.fullmatch(r"bytes=(\d+)-(\d*)", wanted)):
            start, last = int(found[1]), min(int(found[2] or last), last)
        if start >= total:
            return Response(416)
        answer, needed, at, offset = [], {}, 0, None
        for xorb, first, end, size in terms:
            if at + size > start and at <= last:
                offset = start - at if offset is None else offset
                answer.append({"hash": xorb, "unpacked_length": size, "range": {"start": first, "end": end}})
                needed.setdefault(xorb, set()).update(range(first, end))
            at += size
        xorbs = {xorb: self._fetches(xorb, chunks) for xorb, chunks in needed.items()}
        return json_response({"offset_into_first_range": offset, "terms": answer, "xorbs": xorbs})

    def _fetches(self, xorb, chunks):
        """Where the chunks lie: one URL for each run of them, for ranges of a xorb must not overlap."""
        pieces, found = chunks_of(self.xorbs[xorb]), []
        for first in sorted(c for c in chunks if c - 1 not in chunks):
            end = next(c for c in range(first, len(pieces) + 1) if c not in chunks)
            where = {"chunks": {"start": first, "end": end}, "bytes": {"start": pieces[first][0], "end": pieces[end - 1][1] - 1}}
            found.append({"url": f"{self.url}/data/{xorb}?at={first}", "ranges": [where]})
        return found


def add_routes(route, prefix):
    @route("GET", prefix + r"/xet-(read|write)-token/([^/]+)")
    def token(hub, request, plural, repo_id, kind, revision):
        if hub.xet is None:
            raise HttpError(404, "Sorry, we can't find the page you are looking for.")
        mine = hub.world.token_of(request)
        if kind == "read":
            repo = hub.world.readable(plural[:-1], repo_id, mine)
            hub.world.check_content_access(repo, mine)
        else:
            pull = request.query.get("create_pr") == "1"
            repo = hub.world.writable(plural[:-1], repo_id, mine, pull, urllib.parse.unquote(revision))
        return hub.xet.token(repo, kind == "write")
