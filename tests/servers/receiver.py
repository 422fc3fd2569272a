"""An HTTP or HTTPS server that takes webhooks as told: scripted answers, lost ones, slow ones. Helpers, not tests."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import unquote

from include.connections import Connection
from tests.servers.certificates import Certificates

NAME = "acme_hook"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@dataclass(frozen=True)
class Received:
    """One whole request."""

    method: str
    path: str
    headers: Message
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["Idempotency-Key"]

    @property
    def name(self) -> str:
        """The file's name, where it is sent as it is."""
        return unquote(self.headers["Content-Disposition"].partition("UTF-8''")[2])


@dataclass(frozen=True)
class Answer:
    """What is answered. how: as it is, not at all (the connection is cut after, or before, the request was taken
    down), never (the server hangs), or a byte at a time."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b'{"id": "r-1"}'
    how: Literal["answer", "cut", "cut before", "hang", "drip"] = "answer"


@dataclass
class Receiver:
    """A running receiver. script: the next answers, then `always`; taken: what was answered with success."""

    port: int
    certificates: Certificates | None
    script: list[Answer] = field(default_factory=list)
    always: Callable[[Received], Answer] = lambda _: Answer()
    requests: list[Received] = field(default_factory=list)
    connections: int = 0
    hosts: set[str] = field(default_factory=set)

    def names(self) -> list[str]:
        """The names of the files that arrived."""
        return sorted(each.name for each in self.requests)

    def read(self, name: str) -> bytes:
        """The last file of that name."""
        return [each.body for each in self.requests if each.name == name][-1]

    def answer(self, received: Received) -> Answer:
        return self.script.pop(0) if self.script else self.always(received)

    def connection(self, **extra: object) -> Connection:
        """How an administrator names it: signed, and allowed on loopback."""
        trusted = (
            {"ca_file": str(self.certificates.authority)} if self.certificates else {"allow_plain": True}
        )
        scheme = "https" if self.certificates else "http"
        known = {"secret": SECRET, "allow_private": True, **trusted, **extra}
        return Connection(NAME, "http", f"{scheme}://localhost", self.port, extra=known)


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # else each body waits 40 ms for word that the headers have come
        timeout = 30

        def setup(self) -> None:
            receiver.connections += 1
            super().setup()

        def take(self) -> None:
            receiver.hosts.add(self.headers["Host"])
            self.close_connection = True
            if "Content-Length" not in self.headers:
                return  # the standard library takes half a header for a whole one
            size = int(self.headers["Content-Length"])
            body = self.rfile.read(size)
            if len(body) < size:
                return
            received = Received(self.command, self.path, self.headers, body)
            answer = receiver.answer(received)
            if answer.how == "cut before":
                return
            receiver.requests.append(received)
            self.reply(answer)

        do_POST = do_PUT = take

        def reply(self, answer: Answer) -> None:
            if answer.how == "cut":
                return
            if answer.how == "hang":
                time.sleep(60)
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            with suppress(OSError):
                for part in (
                    [answer.body] if answer.how == "answer" else (bytes([each]) for each in answer.body)
                ):
                    self.wfile.write(part)
                    if answer.how == "drip":
                        self.wfile.flush()
                        time.sleep(0.3)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_: object) -> None:
        """Clients that are killed, or refuse our certificate, are what the tests are about."""


@contextmanager
def receiver(certificates: Certificates | None = None) -> Iterator[Receiver]:
    """A receiver on loopback; with certificates it speaks TLS."""
    server = _Server(("127.0.0.1", 0), BaseHTTPRequestHandler)
    made = Receiver(server.server_port, certificates)
    server.RequestHandlerClass = _handler(made)
    if certificates is not None:
        # The handshake belongs to the thread of the connection, not to the one that accepts.
        context = certificates.server_context()
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
