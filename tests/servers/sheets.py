"""A stub of Google Sheets, of the part of Drive that goes with it, and of Google's token service, on loopback.

There is no emulator. Each request is checked against the documents that Google publishes (`discovery`), and so is each
answer; what is not in them is answered 400 and noted in `violations`. `fail` scripts what goes wrong.
"""

from __future__ import annotations

import json
import re
import secrets
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import jwt

from include.connections import Connection, Secrets
from tests.servers import discovery
from tests.servers.drive import Drive
from tests.servers.sheet_values import METHODS
from tests.servers.workbook import Invalid, Sheet, Workbook

NAME = "their_google"
ACCOUNT = "loyalty@exports.iam.gserviceaccount.com"
PERSON = "person@acme.example"
BOOK = "1LoyaltyLedgerTestSpreadsheetIdentity"
MOST_BYTES = 10_485_760
USER = {
    "client_id": "the-client.apps.example",
    "client_secret": "cl1ent-s3cret",
    "refresh_token": "1//refr3sh-tok3n",
}


@cache
def key_pem(number: int) -> bytes:
    """A private key; the server knows number 0. It is short: to read a longer one takes longer than a delivery."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@cache
def _public_pem() -> bytes:
    key = serialization.load_pem_private_key(key_pem(0), None)
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


@dataclass
class Fault:
    """What happens to requests whose method id matches: an answer, or none. after: once it has been carried out.

    skip: how many such requests pass first.
    """

    method: str
    status: int = 0  # 0: the connection is cut
    after: bool = False
    times: int = 1
    skip: int = 0
    retry_after: int | None = None
    error: dict[str, Any] = field(default_factory=dict)
    freeze: threading.Event | None = None


@dataclass
class Google:
    """The running stub. asked: the method ids of all requests, in order, with the bytes of their bodies."""

    url: str
    drive: Drive = field(default_factory=Drive)
    tokens: dict[str, tuple[str, set[str]]] = field(default_factory=dict)
    asked: list[tuple[str, int]] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    scopes: list[str] = field(default_factory=list)
    token_status: int = 200
    lock: threading.RLock = field(default_factory=threading.RLock)
    before: Any = None  # called with the method's id before a request is carried out

    @property
    def book(self) -> Workbook:
        """The spreadsheet that is there from the beginning, shared with the account."""
        return self.drive.books[BOOK]

    @property
    def methods(self) -> list[str]:
        """The ids of what was asked, without those of the token service."""
        return [name for name, _ in self.asked if name != "token"]

    def fail(self, method: str, status: int = 0, **more: Any) -> Fault:
        """Script a fault."""
        fault = Fault(method, status, **more)
        self.faults.append(fault)
        return fault

    def connection(self, *, number: int = 0, **extra: Any) -> Connection:
        """As Airflow has it: the key of a service account, unless `extra` says otherwise."""
        key = {
            "type": "service_account",
            "client_email": ACCOUNT,
            "private_key_id": "k1",
            "private_key": key_pem(number).decode(),
            "token_uri": f"{self.url}/token",
        }
        found = {"keyfile_dict": json.dumps(key), "endpoint_url": self.url, **extra}
        return Connection(NAME, "google_cloud_platform", extra=found)

    def user(self, **changes: str) -> Connection:
        """The consent of a person, as gspread and gcloud write it down."""
        key = {"type": "authorized_user", "token_uri": f"{self.url}/token", **USER, **changes}
        return self.connection(keyfile_dict=json.dumps(key))

    def secrets(self, connection: Connection | None = None) -> Secrets:
        from pathlib import Path

        return Secrets(Path(), {NAME: connection or self.connection()})

    def fault(self, method: str, *, after: bool) -> Fault | None:
        """The next scripted fault for this moment of a request."""
        with self.lock:
            for fault in self.faults:
                if fault.times and fault.after == after and re.search(fault.method, method):
                    if fault.skip:
                        fault.skip -= 1
                        continue
                    fault.times -= 1
                    return fault
        return None


class _Denied(Exception):
    def __init__(self, status: int, code: str, message: str, reason: str = "") -> None:
        self.status = status
        self.error = {"code": status, "status": code, "message": message}
        if reason:
            self.error["details"] = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}]
            self.error["errors"] = [{"reason": reason, "domain": "global", "message": message}]
        super().__init__(message)


class _Watched:
    """What a client sends, and whether its last line was whole and empty, as the end of the headers is."""

    def __init__(self, source: Any) -> None:
        self._source, self.last = source, b""

    def readline(self, *size: int) -> bytes:
        self.last = self._source.readline(*size)
        return self.last

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each body waits 40 ms for word that the headers have come
    google: Google

    def setup(self) -> None:
        super().setup()
        self.rfile = _Watched(self.rfile)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if len(body) < length or self.rfile.last != b"\r\n":  # the client died
            self.close_connection = True
            return
        parts = urlsplit(self.path)
        if parts.path == "/token":
            self.google.asked.append(("token", length))
            self._token(parse_qs(body.decode()))
            return
        try:
            self._answer(*self._carried_out(parts.path, parse_qs(parts.query, keep_blank_values=True), body))
        except _Denied as denied:
            self._answer(denied.status, {"error": denied.error})

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _serve

    def _carried_out(self, path: str, query: dict[str, list[str]], body: bytes) -> tuple[int, Any]:
        api = discovery.api("drive.v3" if path.startswith("/drive/") else "sheets.v4")
        try:
            method, names = api.method(self.command, path)
            asked = json.loads(body, parse_constant=_no_constant) if body else None
            api.check(method, query, asked)
            mask = query.get("fields", [""])[0]
            tree = api.mask({"$ref": method["response"]["$ref"]}, mask) if mask else {}
        except (discovery.Wrong, ValueError) as error:
            self.google.violations.append(f"{self.command} {path}: {error}")
            raise _Denied(400, "INVALID_ARGUMENT", f"Invalid JSON payload received. {error}") from None
        self.google.asked.append((method["id"], len(body)))
        self._faulted(method["id"], after=False)
        if self.google.before is not None:
            self.google.before(method["id"])
        with self.google.lock:
            who = self._known(method)
            if len(body) > MOST_BYTES:
                raise _Denied(
                    400, "INVALID_ARGUMENT", f"Request payload size exceeds the limit: {MOST_BYTES} bytes."
                )
            try:
                answer = self._done(method["id"], names, query, asked, who)
            except Invalid as error:
                raise _Denied(400, "INVALID_ARGUMENT", str(error)) from None
        self._faulted(method["id"], after=True)
        if "response" in method:
            api.value({"$ref": method["response"]["$ref"]}, answer, "answer", answer=True)
            return 200, discovery.cut(answer, tree)
        return 204, None

    def _faulted(self, method: str, *, after: bool) -> None:
        fault = self.google.fault(method, after=after)
        if fault is None:
            return
        if fault.freeze is not None:
            fault.freeze.wait(60)
        if fault.status:
            error = {"code": fault.status, "message": "scripted", "status": "SCRIPTED", **fault.error}
            headers = {"Retry-After": str(fault.retry_after)} if fault.retry_after is not None else {}
            self._answer(fault.status, {"error": error}, headers)
        self.close_connection = True
        raise ConnectionAbortedError

    def _known(self, method: dict[str, Any]) -> str:
        """The account that asks; its token must be one of ours, and cover the method."""
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in self.google.tokens:
            raise _Denied(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
        who, scopes = self.google.tokens[token]
        if scopes and not scopes & set(method.get("scopes", [])):
            raise _Denied(
                403,
                "PERMISSION_DENIED",
                "Request had insufficient authentication scopes.",
                "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
            )
        return who

    def _done(
        self, method: str, names: dict[str, str], query: dict[str, list[str]], body: Any, who: str
    ) -> Any:
        if method.startswith("drive."):
            try:
                return self.google.drive.done(method, names, query, body, who)
            except KeyError as error:
                raise _Denied(404, "NOT_FOUND", f"File not found: {error.args[0]}.", "notFound") from None
            except PermissionError as error:
                raise _Denied(403, "PERMISSION_DENIED", str(error), str(error)) from None
        book = self.google.drive.books.get(names["spreadsheetId"])
        if book is None:
            raise _Denied(404, "NOT_FOUND", "Requested entity was not found.")
        reading = self.command == "GET"
        if book.editors and who not in book.editors and not (reading and who in book.readers):
            raise _Denied(403, "PERMISSION_DENIED", "The caller does not have permission")
        return METHODS[method](book, names, query, body)

    def _token(self, form: dict[str, list[str]]) -> None:
        if self.google.token_status != 200:
            self._answer(self.google.token_status, {"error": "internal_failure"})
            return
        assertion = form.get("assertion", [""])[0]
        try:
            if form["grant_type"] == ["refresh_token"]:
                who, scopes = self._person(form), set(form.get("scope", [""])[0].split())
            else:
                claims = self._claims(assertion)
                who, scopes = claims.get("sub", claims["iss"]), set(claims["scope"].split())
        except (ValueError, KeyError):
            self._answer(400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."})
            return
        token = f"ya29.{secrets.token_hex(16)}"
        self.google.tokens[token] = who, scopes
        self.google.scopes += sorted(scopes)
        self._answer(200, {"access_token": token, "expires_in": 3600, "token_type": "Bearer"})

    @staticmethod
    def _person(form: dict[str, list[str]]) -> str:
        if {name: form[name][0] for name in USER} != USER:
            raise ValueError("no such consent")
        return PERSON

    def _claims(self, assertion: str) -> dict[str, Any]:
        return dict(
            jwt.decode(assertion, certs=_public_pem(), audience="https://oauth2.googleapis.com/token")
        )

    def _answer(self, status: int, document: Any, headers: dict[str, str] | None = None) -> None:
        body = b"" if document is None else json.dumps(document).encode()
        with suppress(ConnectionError):  # the client may be dead
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json; charset=UTF-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    google: Google

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Cut connections are meant; what the stub cannot do must not pass unseen."""
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError):
            self.google.violations.append(repr(error))


def _no_constant(text: str) -> Any:
    raise ValueError(f"JSON has no {text}")


@contextmanager
def google() -> Iterator[Google]:
    """Serve one spreadsheet, BOOK, with one empty tab, shared with ACCOUNT."""
    running = Google("")
    handler = type("Handler", (_Handler,), {"google": running})
    server = _Server(("127.0.0.1", 0), handler)
    server.google = running
    running.url = f"http://127.0.0.1:{server.server_port}"
    running.drive.books[BOOK] = Workbook(BOOK, sheets={0: Sheet(0, "Sheet1")}, editors={ACCOUNT})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield running
    finally:
        for fault in running.faults:
            if fault.freeze is not None:
                fault.freeze.set()
        server.shutdown()
        server.server_close()
        thread.join()
