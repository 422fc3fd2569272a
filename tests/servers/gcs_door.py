"""The XML interface of Google Cloud Storage in front of fake-gcs-server, which speaks JSON where XML writes.

Reads, listings and deletions pass through as they are. Writes are handed on to the JSON interface with their
preconditions: an object, a copy, and an upload in parts (kept here until it is complete). Only the right bearer
token is let in. By Google's description of the XML interface: https://cloud.google.com/storage/docs/xml-api.
"""

from __future__ import annotations

import http.client
import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qs, quote, unquote, urlsplit

TOKEN = "token-of-the-tests"
MARK = secrets.token_hex(16)
PASSED_ON = {"Range", "Content-Type"}
DROPPED = {"connection", "transfer-encoding", "content-length", "date", "server"}


class _Door(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    port = 0
    uploads: ClassVar[dict[str, dict[int, bytes]]] = {}

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._handle()

    do_HEAD = do_DELETE = do_PUT = do_POST = do_GET

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._answer(401, b"<Error><Code>AuthenticationRequired</Code></Error>")
            return
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        _, bucket, *name = unquote(parts.path).split("/", 2)
        if "uploads" in query:
            self._begin(bucket, name[0])
        elif "uploadId" in query:
            self._part(bucket, name[0], query, body)
        elif self.command == "PUT" and (source := self.headers.get("x-goog-copy-source")):
            self._copy(unquote(source).strip("/"), bucket, name[0])
        elif self.command == "PUT":
            self._create(bucket, name[0], body)
        else:
            self._forward(self.command, self.path, body)

    def _begin(self, bucket: str, name: str) -> None:
        upload = secrets.token_hex(8)
        self.uploads[upload] = {}
        told = f"<Bucket>{bucket}</Bucket><Key>{name}</Key><UploadId>{upload}</UploadId>"
        self._answer(200, f"<InitiateMultipartUploadResult>{told}</InitiateMultipartUploadResult>".encode())

    def _part(self, bucket: str, name: str, query: dict[str, str], body: bytes) -> None:
        upload = query["uploadId"]
        if self.command == "PUT":
            self.uploads[upload][int(query["partNumber"])] = body
            self._answer(200, b"", {"ETag": f'"{query["partNumber"]}"'})
        elif self.command == "POST":
            parts = self.uploads.pop(upload)
            status = self._json_create(bucket, name, b"".join(parts[number] for number in sorted(parts)))
            told = f"<Bucket>{bucket}</Bucket><Key>{name}</Key><ETag>whole</ETag>"
            whole = f"<CompleteMultipartUploadResult>{told}</CompleteMultipartUploadResult>".encode()
            self._answer(status, whole if status == 200 else b"", {"x-goog-generation": "1"})
        else:
            self.uploads.pop(upload, None)
            self._answer(204, b"")

    def _create(self, bucket: str, name: str, body: bytes) -> None:
        self._answer(self._json_create(bucket, name, body), b"", {"ETag": '"new"', "x-goog-generation": "1"})

    def _json_create(self, bucket: str, name: str, body: bytes) -> int:
        """Use the one kind of upload whose preconditions fake-gcs-server keeps."""
        path = f"/upload/storage/v1/b/{bucket}/o?uploadType=multipart{self._condition()}"
        about = f"--{MARK}\r\nContent-Type: application/json\r\n\r\n{json.dumps({'name': name})}\r\n"
        data = f"--{MARK}\r\nContent-Type: application/octet-stream\r\n\r\n"
        whole = b"".join([about.encode(), data.encode(), body, f"\r\n--{MARK}--\r\n".encode()])
        return self._ask("POST", path, whole, f"multipart/related; boundary={MARK}")[0]

    def _copy(self, source: str, bucket: str, name: str) -> None:
        """Read and create: fake-gcs-server's own copy ignores preconditions."""
        status, body, _ = self._ask("GET", f"/{quote(source)}", b"")
        done = self._json_create(bucket, name, body) if status == 200 else status
        self._answer(done, b"<CopyObjectResult></CopyObjectResult>", {"ETag": '"copy"'})

    def _condition(self) -> str:
        wanted = self.headers.get("x-goog-if-generation-match")
        return "" if wanted is None else f"&ifGenerationMatch={wanted}"

    def _forward(self, method: str, path: str, body: bytes) -> None:
        self._answer(*self._ask(method, path, body))

    def _ask(
        self, method: str, path: str, body: bytes, kind: str | None = None
    ) -> tuple[int, bytes, dict[str, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name in PASSED_ON}
        headers |= {"Content-Type": kind} if kind else {}
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        found = answer.status, answer.read(), dict(answer.getheaders())
        connection.close()
        return found

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            if name.lower() not in DROPPED:
                self.send_header(name, value)
        told = (headers or {}).get("Content-Length") if self.command == "HEAD" else None
        self.send_header("Content-Length", told or str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextmanager
def door(port: int) -> Iterator[str]:
    """Serve the XML interface of the fake-gcs-server on `port`; yields its URL."""
    handler = type("Door", (_Door,), {"port": port, "uploads": {}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
