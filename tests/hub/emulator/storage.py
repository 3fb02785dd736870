# SPDX-License-Identifier: Apache-2.0
"""The other origin: presigned uploads as S3 takes them, downloads as a CDN gives them. Knows no token."""
import datetime
import hashlib
import hmac
import re
import time
import urllib.parse

from .wire import HttpError, Response, json_response


def xml_error(status, code, message):
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Response(status, body.encode(), {"Content-Type": "application/xml"})


def serve_bytes(request, content, headers):
    """`content` or the range of it that was asked for."""
    headers = {"Accept-Ranges": "bytes", "Content-Type": "application/octet-stream", **headers}
    if_range = request.headers.get("If-Range")
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("Range") or "")
    if not found or (if_range and if_range != headers.get("ETag")) or found.groups() == ("", ""):
        return Response(200, content, headers)
    first, last = found.groups()
    start = int(first) if first else max(0, len(content) - int(last))
    end = min(int(last), len(content) - 1) if first and last else len(content) - 1
    if start >= len(content) or start > end:
        return Response(416, b"", {"Content-Range": f"bytes */{len(content)}"})
    return Response(206, content[start : end + 1], {**headers, "Content-Range": f"bytes {start}-{end}/{len(content)}"})


class Storage:
    def __init__(self, hub):
        self.hub = hub
        self.uploads = {}  # id: {part number: bytes}
        self.generation = 0  # of signatures; the older ones have expired
        self.born_expired = 0  # how many of the next URLs are of no use
        self.lifetime = 3600
        self._key = b"emulator"

    # --- presigned URLs

    def _signature(self, method, path, query):
        text = "\n".join([method, path, *(f"{k}={v}" for k, v in sorted(query.items()) if k != "X-Amz-Signature")])
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()

    def sign(self, method, path, **query):
        lifetime = self.lifetime
        if self.born_expired:
            self.born_expired -= 1
            lifetime = 0
        now = datetime.datetime.now(datetime.timezone.utc)
        query = {**{k: str(v) for k, v in query.items()}, "X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Date": now.strftime("%Y%m%dT%H%M%SZ"),
                 "X-Amz-Expires": str(lifetime), "X-Amz-SignedHeaders": "host", "X-Generation": str(self.generation)}
        query["X-Amz-Signature"] = self._signature(method, path, query)
        return f"{self.hub.storage.url}{path}?{urllib.parse.urlencode(query)}"

    def expire_all(self):
        self.generation += 1

    def _check(self, request):
        if "Authorization" in request.headers:
            return xml_error(400, "InvalidArgument", "Only one auth mechanism allowed")
        query = request.query
        method = "GET" if request.method == "HEAD" else request.method
        if not hmac.compare_digest(query.get("X-Amz-Signature", ""), self._signature(method, request.path, query)):
            return xml_error(403, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided.")
        begin = datetime.datetime.strptime(query["X-Amz-Date"] + "+0000", "%Y%m%dT%H%M%SZ%z").timestamp()
        if time.time() >= begin + int(query["X-Amz-Expires"]) or query["X-Generation"] != str(self.generation):
            return xml_error(403, "AccessDenied", "Request has expired")
        return None

    # --- requests

    def handle(self, request):
        if request.path.startswith("/cas/") and self.hub.xet is not None:
            return self.hub.xet.handle(request)
        if refused := self._check(request):
            return refused
        route = re.fullmatch(r"/(lfs|multipart|complete|cdn)/(?:(.+)/)?([0-9a-f]{64})", request.path)
        if not route:
            return xml_error(404, "NoSuchKey", "The specified key does not exist.")
        kind, repo_id, oid = route.groups()
        serve = {("lfs", "PUT"): self._put, ("multipart", "PUT"): self._put_part, ("complete", "POST"): self._complete,
                 ("cdn", "GET"): self._get, ("cdn", "HEAD"): self._get}.get((kind, request.method))
        if serve is None:
            return xml_error(405, "MethodNotAllowed", "The specified method is not allowed.")
        response = serve(request, oid)
        if kind in ("lfs", "complete") and response.status == 200:
            self._know(repo_id, oid)
        return response

    def _know(self, repo_id, oid):
        """The repository has the object from here on: not every client calls verify."""
        kind, _, rest = repo_id.partition("s/")
        repo = self.hub.world.lookup(kind, rest) if kind in ("dataset", "space") else self.hub.world.lookup("model", repo_id)
        if repo is not None:
            repo.objects.setdefault(oid, "")

    def _body(self, request):
        if "Transfer-Encoding" in request.headers:
            raise HttpError(501, "A header you provided implies functionality that is not implemented: Transfer-Encoding")
        if "Content-Length" not in request.headers:
            raise HttpError(411, "You must provide the Content-Length HTTP header.")
        return request.body

    def _put(self, request, oid):
        body = self._body(request)
        if hashlib.sha256(body).hexdigest() != oid:
            return xml_error(400, "BadDigest", "The sha256 you specified did not match what we received.")
        self.hub.world.storage[oid] = body
        return Response(200, b"", {"ETag": f'"{hashlib.md5(body).hexdigest()}"'})

    def _put_part(self, request, oid):
        body = self._body(request)
        upload = self.uploads.get(request.query["uploadId"])
        if upload is None:
            return xml_error(404, "NoSuchUpload", "The specified multipart upload does not exist.")
        upload[int(request.query["partNumber"])] = body
        return Response(200, b"", {"ETag": f'"{hashlib.md5(body).hexdigest()}"'})

    def _complete(self, request, oid):
        upload = self.uploads.get(request.query["uploadId"])
        asked = request.json()
        if upload is None or asked.get("oid") != oid:
            return json_response({"error": "No such upload"}, 404)
        told = [(p["partNumber"], p["etag"]) for p in asked["parts"]]
        have = [(n, f'"{hashlib.md5(upload[n]).hexdigest()}"') for n in sorted(upload)]
        if told != have:
            return json_response({"error": "One or more of the specified parts could not be found, or their order or ETag is wrong"}, 400)
        whole = b"".join(upload[n] for n, _ in have)
        if hashlib.sha256(whole).hexdigest() != oid:
            return json_response({"error": "The parts do not make up the object"}, 400)
        self.hub.world.storage[oid] = whole
        return json_response({"ok": True})

    def _get(self, request, oid):
        content = self.hub.world.storage.get(oid)
        if content is None:
            return xml_error(404, "NoSuchKey", "The specified key does not exist.")
        # A CDN's own ETag: 64 digits that are not the object's hash.
        return serve_bytes(request, content, {"ETag": f'"{hashlib.sha256(b"cdn" + oid.encode()).hexdigest()}"',
                                              "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"})
