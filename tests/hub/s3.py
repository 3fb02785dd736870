# SPDX-License-Identifier: Apache-2.0
"""An object store: moto behind a door of ours, which keeps a log and can be told to misbehave."""
import http.client
import logging
import os
import urllib.parse

os.environ.setdefault("AWS_ACCESS_KEY_ID", "testing")
os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "testing")
os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
os.environ["MOTO_S3_DEFAULT_MAX_KEYS"] = "25"  # a page of a listing: 1,000 at AWS, and one object a request
import boto3  # noqa: E402
from emulator.faults import Faults  # noqa: E402
from emulator.wire import Origin, Response  # noqa: E402
from moto.server import ThreadedMotoServer  # noqa: E402

logging.getLogger("werkzeug").setLevel(logging.ERROR)
HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}


class ObjectStore:
    """`url` is the door; the bucket "adapters" is there. With `strict`, signatures are checked against the user `key`, `secret`."""

    def __init__(self, strict=False):
        self.moto = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        self.moto.start()
        self.host, self.port = self.moto.get_host_and_port()
        self.faults = Faults()
        self.key, self.secret = "testing", "open-says-nothing"
        self.admin = self.client("s3")
        self._post("/moto-api/reset")
        self.admin.create_bucket(Bucket="adapters")
        if strict:
            self._check_signatures()
        self.door = Origin("s3", "127.0.0.4", self._forward, self.faults)
        self.url = self.door.url

    def _check_signatures(self):
        iam = self.client("iam")
        iam.create_user(UserName="ann")
        iam.put_user_policy(UserName="ann", PolicyName="all",
                            PolicyDocument='{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}')
        made = iam.create_access_key(UserName="ann")["AccessKey"]
        self.key, self.secret = made["AccessKeyId"], made["SecretAccessKey"]
        self._post("/moto-api/reset-auth", "0")
        self.admin = self.client("s3")

    def _post(self, path, body=""):
        connection = http.client.HTTPConnection(self.host, self.port, timeout=20)
        connection.request("POST", path, body)
        connection.getresponse().read()
        connection.close()

    def client(self, service):
        return boto3.client(service, endpoint_url=f"http://{self.host}:{self.port}", region_name="us-east-1",
                            aws_access_key_id=self.key, aws_secret_access_key=self.secret)

    def _forward(self, request):
        headers = {name: value for name, value in request.headers.items() if name.lower() not in ("connection", "expect")}
        if "Content-Length" not in request.headers and request.method in ("PUT", "POST"):
            return Response(411, b"<Error><Code>MissingContentLength</Code></Error>", {"Content-Type": "application/xml"})
        connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
        connection.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders(request.body or None)
        answer = connection.getresponse()
        body = answer.read()
        kept = {name: value for name, value in answer.getheaders() if name.lower() not in HOP}
        if request.method == "HEAD":
            kept["Content-Length"] = answer.getheader("Content-Length", "0")
        connection.close()
        return Response(answer.status, body, kept)

    def env(self):
        return {"AWS_ENDPOINT_URL": self.url, "AWS_ACCESS_KEY_ID": self.key, "AWS_SECRET_ACCESS_KEY": self.secret, "AWS_REGION": "us-east-1"}

    def objects(self, prefix="", bucket="adapters"):
        pages = self.admin.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        keys = [one["Key"] for page in pages for one in page.get("Contents", [])]
        return {key[len(prefix) :].lstrip("/"): self.admin.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}

    def upload(self, files, prefix):
        for path, text in files.items():
            self.admin.put_object(Bucket="adapters", Key=f"{prefix}/{path}", Body=text)

    def clear(self):
        """As it was at first."""
        self.faults.clear()
        self.door.log.clear()
        for page in self.admin.get_paginator("list_objects_v2").paginate(Bucket="adapters"):
            for one in page.get("Contents", []):
                self.admin.delete_object(Bucket="adapters", Key=one["Key"])
        for upload in self.unfinished():
            self.admin.abort_multipart_upload(Bucket="adapters", Key=upload["Key"], UploadId=upload["UploadId"])

    def unfinished(self):
        """Uploads in parts that nobody ended."""
        return self.admin.list_multipart_uploads(Bucket="adapters").get("Uploads", [])

    def puts(self):
        """The keys written, in order."""
        return [urllib.parse.unquote(r.path) for r in self.door.log if r.method == "PUT" and r.status == 200]

    def stop(self):
        self.door.stop()
        self.moto.stop()
