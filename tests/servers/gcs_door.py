"""The XML interface of Google Cloud Storage in front of fake-gcs-server, which speaks JSON where XML writes.

Reads, listings and deletions pass through as they are. Writes are handed on to the JSON interface with their
preconditions: an object, a copy, an upload in parts and a resumable one (kept here until they are complete, since
fake-gcs-server ignores their preconditions). Only the right bearer token is let in; the token service gives it for a
request that KEY signed. By Google's descriptions: https://cloud.google.com/storage/docs/xml-api and
https://cloud.google.com/storage/docs/performing-resumable-uploads.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qs, quote, unquote, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

TOKEN = "token-of-the-tests"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # longer ones take longer to read
MARK = secrets.token_hex(16)
PASSED_ON = {"Range", "Content-Type"}
DROPPED = {"connection", "transfer-encoding", "content-length", "date", "server"}


class _Door(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each body waits 40 ms for word that the headers have come
    port = 0
    uploads: ClassVar[dict[str, dict[int, bytes]]] = {}
    sessions: ClassVar[dict[str, dict]] = {}

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._handle()

    do_HEAD = do_DELETE = do_PUT = do_POST = do_GET

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/token":
            self._token(body)
            return
        if self.headers.get("Authorization") != f"Bearer {TOKEN}" and not self._signed():
            self._answer(401, b"<Error><Code>AuthenticationRequired</Code></Error>")
            return
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        _, bucket, *name = unquote(parts.path).split("/", 2)
        if query.get("uploadType") == "resumable":
            self._resumable(query, body)
        elif "uploads" in query:
            self._begin(bucket, name[0])
        elif "uploadId" in query:
            self._part(bucket, name[0], query, body)
        elif self.command == "PUT" and (source := self.headers.get("x-goog-copy-source")):
            self._copy(unquote(source).strip("/"), bucket, name[0])
        elif self.command == "PUT":
            self._create(bucket, name[0], body)
        else:
            self._forward(self.command, self.path, body)

    def _token(self, body: bytes) -> None:
        from google.auth import jwt

        assertion = parse_qs(body.decode())["assertion"][0]
        public = KEY.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        try:
            jwt.decode(assertion, certs=public, verify=True, audience="https://oauth2.googleapis.com/token")
        except ValueError:
            self._answer(400, b'{"error": "invalid_grant", "error_description": "Invalid JWT Signature."}')
            return
        self._answer(200, json.dumps({"access_token": TOKEN, "expires_in": 3600}).encode())

    def _signed(self) -> bool:
        """Say whether the address carries a signature by KEY that has not ended (Google's V4)."""
        path, _, query = self.path.partition("?")
        values, _, signature = query.partition("&X-Goog-Signature=")
        if not signature:
            return False
        found = {name: each[0] for name, each in parse_qs(values).items()}
        stamp, scope = found["X-Goog-Date"], found["X-Goog-Credential"].split("/", 1)[1]
        canonical = f"{self.command}\n{path}\n{values}\nhost:{self.headers['Host']}\n\nhost\nUNSIGNED-PAYLOAD"
        text = f"GOOG4-RSA-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        begun = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        try:
            KEY.public_key().verify(
                bytes.fromhex(signature), text.encode(), padding.PKCS1v15(), hashes.SHA256()
            )
        except InvalidSignature:
            return False
        return datetime.now(UTC) < begun + timedelta(seconds=int(found["X-Goog-Expires"]))

    def _resumable(self, query: dict[str, str], body: bytes) -> None:
        """Begin, go on with, or cancel an upload whose object is created by its last bytes."""
        bucket = unquote(urlsplit(self.path).path).split("/")[5]
        upload = query.get("upload_id", "")
        if self.command == "POST":
            if self._ask("GET", f"/storage/v1/b/{bucket}", b"")[0] != 200:
                self._answer(404, b'{"error": {"code": 404, "errors": [{"reason": "notFound"}]}}')
                return
            upload = secrets.token_hex(8)
            condition = query.get("ifGenerationMatch")
            self.sessions[upload] = {"about": json.loads(body), "condition": condition, "bytes": bytearray()}
            url = f"http://{self.headers['Host']}/upload/storage/v1/b/{bucket}/o?uploadType=resumable&upload_id={upload}"
            self._answer(200, b"", {"Location": url})
        elif self.command == "DELETE":
            self._answer(499 if self.sessions.pop(upload, None) else 404, b"")
        elif upload not in self.sessions:
            self._answer(404, b"")
        else:
            self._go_on(bucket, self.sessions[upload], body)

    def _go_on(self, bucket: str, session: dict, body: bytes) -> None:
        if done := session.get("done"):  # the reply was lost
            self._answer(done, b"{}")
            return
        whole: bytearray = session["bytes"]
        span = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+)", self.headers["Content-Range"])
        start = int(span[1] or len(whole))
        whole[start:] = body  # what came before is not sent again by us
        if len(whole) < int(span[2]):
            self._answer(308, b"", {"Range": f"bytes=0-{len(whole) - 1}"})
            return
        name = session["about"].pop("name")
        session["done"] = self._json_create(
            bucket, name, bytes(whole), session["about"], session["condition"]
        )
        whole.clear()
        self._answer(session["done"], b"{}")

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

    def _json_create(
        self, bucket: str, name: str, body: bytes, told: dict | None = None, generation: str | None = None
    ) -> int:
        """Use the one kind of upload whose preconditions fake-gcs-server keeps."""
        generation = generation or self.headers.get("x-goog-if-generation-match")
        condition = "" if generation is None else f"&ifGenerationMatch={generation}"
        path = f"/upload/storage/v1/b/{bucket}/o?uploadType=multipart{condition}"
        resource = json.dumps({**(told or {}), "name": name})
        about = f"--{MARK}\r\nContent-Type: application/json\r\n\r\n{resource}\r\n"
        kind = (told or {}).get("contentType", "application/octet-stream")
        data = f"--{MARK}\r\nContent-Type: {kind}\r\n\r\n"
        whole = b"".join([about.encode(), data.encode(), body, f"\r\n--{MARK}--\r\n".encode()])
        return self._ask("POST", path, whole, f"multipart/related; boundary={MARK}")[0]

    def _copy(self, source: str, bucket: str, name: str) -> None:
        """Read and create: fake-gcs-server's own copy ignores preconditions."""
        status, body, _ = self._ask("GET", f"/{quote(source)}", b"")
        done = self._json_create(bucket, name, body) if status == 200 else status
        self._answer(done, b"<CopyObjectResult></CopyObjectResult>", {"ETag": '"copy"'})

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
            with suppress(ConnectionError):  # the client has seen enough
                self.wfile.write(body)


@contextmanager
def door(port: int) -> Iterator[str]:
    """Serve the XML interface of the fake-gcs-server on `port`; yields its URL."""
    handler = type("Door", (_Door,), {"port": port, "uploads": {}, "sessions": {}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
