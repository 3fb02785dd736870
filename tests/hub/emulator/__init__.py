# SPDX-License-Identifier: Apache-2.0
"""An emulator of the Hugging Face Hub's protocol, for tests: no more of the Hub than clients of adapters see.

    with Hub() as hub:
        token = hub.world.add_user("ann")
        hub.faults.add("POST", "/commit/", faults.lost_reply())
        run(client, HF_ENDPOINT=hub.url, HF_TOKEN=token)
        hub.requests("POST", "/commit/")

Three origins on loopback: the Hub, its storage (presigned uploads, CDN), and one that belongs to somebody else.
"""
import base64
import re
import threading

from . import api, faults
from .storage import Storage
from .wire import Origin, Response, json_response
from .world import World
from .xet import Xet

__all__ = ["Hub", "faults", "Response", "json_response"]


class Hub:
    def __init__(self, port=0, xet=False):
        self.world = World()
        self.faults = faults.Faults()
        self.store = Storage(self)
        # How this Hub behaves; tests change what they need.
        self.lfs_threshold = 10 << 20  # above it a text is a large file too
        self.multipart_threshold = 64 << 20
        self.part_size = 16 << 20
        self.page_size = 1000
        self.weak_etags = False
        self.gzip_content = False
        self.resolve_cache = True
        self.verify_header = True
        self.rate_limit = True
        self.private_by_default = set()  # organisations
        self.lfs_refusals = {}  # oid: the error object of a batch
        self.quota = 1000
        self._window = threading.Lock()
        self.hub = Origin("hub", "127.0.0.1", self._handle_hub, self.faults, port)
        self.storage = Origin("storage", "127.0.0.2", lambda request: self.store.handle(request), self.faults)
        self.elsewhere = Origin("elsewhere", "127.0.0.3", lambda request: Response(404, b"", {}), self.faults)
        self.url = self.public_url = self.hub.url
        self.xet = Xet(self) if xet else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        for origin in self.origins:
            origin.stop()

    @property
    def origins(self):
        return self.hub, self.storage, self.elsewhere

    # --- what it is asked

    def _handle_hub(self, request):
        redirect = self._moved(request)
        response = redirect or api.handle(self, request)
        if self.rate_limit:
            with self._window:
                self.quota = max(0, self.quota - 1)
            response.headers.setdefault("RateLimit", f'"api";r={self.quota};t=271')
            response.headers.setdefault("RateLimit-Policy", '"fixed window";"api";q=1000;w=300')
        return response

    def _moved(self, request):
        found = re.match(r"/(?:api/)?(?:(models|datasets|spaces)/)?([^/]+/[^/]+?)(?=/|\.git/|$)", request.path)
        return api.renamed(self, request, *found.groups()) if found else None

    def rename(self, repo, new_id):
        self.world.moved[(repo.type, repo.id)] = new_id
        del self.world.repos[(repo.type, repo.id)]
        repo.id = new_id
        self.world.repos[(repo.type, new_id)] = repo

    def cdn_url(self, oid, name=""):
        extra = {"response-content-disposition": f'inline; filename="{name}"'} if name else {}
        return self.store.sign("GET", f"/cdn/{oid}", **extra)

    def verify_key(self, repo):
        return base64.b64encode(f"verify:{repo.number}".encode()).decode()

    # --- what tests ask

    def repo(self, repo_id, type="model"):
        return self.world.repos[(type, repo_id)]

    def requests(self, method="*", target="", origin=None):
        """Those logged so far, in order, of all origins or one."""
        logs = sorted((r for o in self.origins for r in o.log), key=lambda r: r.when)
        return [r for r in logs if method in ("*", r.method) and re.search(target, r.target) and origin in (None, r.origin)]

    def clear_log(self):
        for origin in self.origins:
            origin.log.clear()

    def leaks(self, secret):
        """Requests to other origins than the Hub, or URLs of it, that carry `secret`."""
        found = []
        for request in self.requests():
            foreign = request.origin != "hub"
            if secret in request.target or (foreign and (secret in str(request.headers) or secret.encode() in request.body)):
                found.append(request)
        return found

    def crashes(self):
        """Tracebacks of the emulator itself: there must be none."""
        return [text for origin in self.origins for text in origin.crashes]
