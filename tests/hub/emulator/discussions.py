# SPDX-License-Identifier: Apache-2.0
"""Pull requests."""
from .wire import HttpError, json_response
from .world import Discussion

STAMP = "2026-01-01T00:00:00.000Z"


def open_pull_request(repo, title, description, author, base):
    num = len(repo.discussions) + 1
    repo.discussions[num] = Discussion(num, title, author, description, base=base)
    repo.refs[f"refs/pr/{num}"] = base
    return repo.discussions[num]


def _detail(repo, one):
    comment = {"id": "1", "type": "comment", "createdAt": STAMP, "author": {"name": one.author},
               "data": {"edited": False, "hidden": False, "latest": {"raw": one.description, "updatedAt": STAMP, "author": {"name": one.author}}, "history": []}}
    return {"num": one.num, "title": one.title, "author": {"name": one.author}, "createdAt": STAMP, "status": one.status,
            "repo": {"name": repo.id, "type": repo.type}, "isPullRequest": one.is_pull_request, "changes": {"base": "refs/heads/main"},
            "filesWithConflicts": [], "events": [comment], "diff": ""}


def add_routes(route, prefix):
    @route("GET", prefix + r"/discussions")
    def listing(hub, request, plural, repo_id):
        repo = hub.world.readable(plural[:-1], repo_id, hub.world.token_of(request))
        items = [_detail(repo, one) for one in repo.discussions.values()]
        return json_response({"discussions": items, "count": len(items), "start": 0})

    @route("POST", prefix + r"/discussions")
    def open_one(hub, request, plural, repo_id):
        token = hub.world.token_of(request)
        asked = request.json()
        repo = hub.world.writable(plural[:-1], repo_id, token, create_pr=True)
        if not asked.get("pullRequest"):
            raise HttpError(400, "Only pull requests here")
        one = open_pull_request(repo, asked["title"], asked.get("description", ""), token.user, repo.refs["main"])
        return json_response({"num": one.num, "pullRequest": True})

    @route("GET", prefix + r"/discussions/(\d+)")
    def detail(hub, request, plural, repo_id, num):
        repo = hub.world.readable(plural[:-1], repo_id, hub.world.token_of(request))
        return json_response(_detail(repo, _find(repo, num)))

    @route("POST", prefix + r"/discussions/(\d+)/(status|merge|comment)")
    def act(hub, request, plural, repo_id, num, verb):
        token = hub.world.token_of(request)
        repo = hub.world.writable(plural[:-1], repo_id, token, create_pr=verb != "merge")
        one = _find(repo, num)
        if verb == "status":
            one.status = request.json()["status"]
        elif verb == "merge":
            one.status = "merged"
            repo.refs["main"] = repo.refs[f"refs/pr/{num}"]
        return json_response({"newStatus": {"id": "1", "type": "status-change", "createdAt": STAMP, "author": {"name": token.user},
                                            "data": {"status": one.status}}})


def _find(repo, num):
    if int(num) not in repo.discussions:
        raise HttpError(404, "Discussion not found")
    return repo.discussions[int(num)]
