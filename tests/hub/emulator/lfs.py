# SPDX-License-Identifier: Apache-2.0
"""The LFS side of the Hub: batch and verify. Objects belong to one repository."""
import math
import re

from .wire import HttpError, Response, json_response

MEDIA = "application/vnd.git-lfs+json"


def lfs_response(value, status=200):
    return json_response(value, status, {"Content-Type": MEDIA})


def batch(hub, request, repo, token):
    asked = request.json()
    if len(asked["objects"]) > 256:
        raise HttpError(413, "Too many objects")
    if asked["operation"] == "download":
        hub.world.check_content_access(repo, token)
        return lfs_response({"transfer": "basic", "objects": [_download(hub, repo, one) for one in asked["objects"]]})
    branch = asked.get("ref", {}).get("name", "").removeprefix("refs/heads/")
    hub.world.writable(repo.type, repo.id, token, create_pr="ref" not in asked, branch=branch)
    transfers = asked.get("transfers", ["basic"])
    if "xet" in transfers and hub.xet is not None:
        return lfs_response({"transfer": "xet", "objects": [hub.xet.batch_object(repo, one) for one in asked["objects"]]})
    answers, multipart = [], False
    for one in asked["objects"]:
        answer = _upload(hub, repo, one, "multipart" in transfers)
        multipart = multipart or "chunk_size" in answer.get("actions", {}).get("upload", {}).get("header", {})
        answers.append(answer)
    return lfs_response({"transfer": "multipart" if multipart else "basic", "objects": answers})


def _download(hub, repo, one):
    answer = {"oid": one["oid"], "size": one["size"]}
    if one["oid"] in repo.objects:
        answer.update(authenticated=True, actions={"download": {"href": hub.cdn_url(one["oid"]), "expires_in": 3600}})
    else:
        answer["error"] = {"code": 404, "message": "Object does not exist"}
    return answer


def _upload(hub, repo, one, may_split):
    oid, size = one["oid"], one["size"]
    answer = {"oid": oid, "size": size}
    if not re.fullmatch(r"[0-9a-f]{64}", oid):
        return {**answer, "error": {"code": 422, "message": "Invalid oid"}}
    if refusal := hub.lfs_refusals.get(oid):
        return {**answer, "error": refusal}
    if oid in repo.objects and oid in hub.world.storage:
        return answer
    if may_split and size > hub.multipart_threshold:
        upload_id = f"u{len(hub.store.uploads) + 1}"
        hub.store.uploads[upload_id] = {}
        count = math.ceil(size / hub.part_size)
        header = {"chunk_size": str(hub.part_size)}
        for number in range(1, count + 1):
            header[f"{number:05d}"] = hub.store.sign("PUT", f"/multipart/{repo.web}/{oid}", uploadId=upload_id, partNumber=number)
        upload = {"href": hub.store.sign("POST", f"/complete/{repo.web}/{oid}", uploadId=upload_id), "header": header, "expires_in": 900}
    else:
        upload = {"href": hub.store.sign("PUT", f"/lfs/{repo.web}/{oid}"), "expires_in": 900}
    # verify carries what git-lfs is to send: a token of its own, for this object alone
    verify = {"href": f"{hub.public_url}/{repo.web}.git/info/lfs/objects/verify", "header": {"Authorization": f"Basic {hub.verify_key(repo)}"}}
    if not hub.verify_header:
        del verify["header"]
    return {**answer, "authenticated": True, "actions": {"upload": upload, "verify": verify}}


def verify(hub, request, repo):
    header = request.headers.get("Authorization", "")
    if header != f"Basic {hub.verify_key(repo)}":
        token = hub.world.token_of(request)
        hub.world.writable(repo.type, repo.id, token, create_pr=True)
    asked = request.json()
    stored = hub.world.storage.get(asked["oid"])
    if stored is None or len(stored) != asked["size"]:
        raise HttpError(404, "Object does not exist, or has another size")
    repo.objects.setdefault(asked["oid"], "")
    return Response(200, b"", {"Content-Type": MEDIA})
