"""A server that quotes, in its refusals, all that it was told: as badly made servers do, and as hostile ones would.

It speaks HTTP, SMTP and as much of SSH as a client's first words need. A helper, not a test.
"""

from __future__ import annotations

import base64
import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

WAITS_SECONDS = 0.5  # for a client that speaks first


@dataclass
class Parrot:
    """A running parrot. token: what its token service gives. heard: everything, decoded where it was base64."""

    port: int
    token: str
    heard: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            client.settimeout(WAITS_SECONDS)
            try:
                first = client.recv(65_536)
            except TimeoutError:
                first = b""
            client.settimeout(10)
            if first.startswith(b"SSH-"):
                client.sendall(b"SSH-2.0-parrot " + first.strip()[:100] + b"\r\nno such key exchange\r\n")
            elif first:
                self.http(client, first)
            else:
                self.smtp(client)

    def http(self, client: socket.socket, received: bytes) -> None:
        """One request; the answer closes the connection."""
        while b"\r\n\r\n" not in received and (more := client.recv(65_536)):
            received += more
        head, _, body = received.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        while length and len(body) < int(length[1]) and (more := client.recv(65_536)):
            body += more
        if b"/token" in head.split(b"\r\n")[0]:
            answer = {"access_token": self.token, "expires_in": 3600, "token_type": "Bearer"}
            status, content = "200 OK", json.dumps(answer)
        else:
            said = self.quoted(head + b" " + body)
            status = "400 Bad Request"
            content = json.dumps({"error": {"code": 400, "message": said, "reason": said}, "message": said})
            if b"x-amz" in head.lower() or b"x-ms-" in head.lower():
                content = f"<Error><Code>Quoted</Code><Message>{said}</Message></Error>"
        sent = content.encode()
        lines = f"HTTP/1.1 {status}\r\nContent-Length: {len(sent)}\r\nConnection: close\r\n\r\n"
        client.sendall(lines.encode() + sent)

    def smtp(self, client: socket.socket) -> None:
        client.sendall(b"220 parrot\r\n")
        for line in client.makefile("rb"):
            if line.upper().startswith(b"EHLO"):
                client.sendall(b"250-parrot\r\n250 AUTH PLAIN LOGIN\r\n")
            else:
                client.sendall(f"535 5.7.8 I do not know {self.quoted(line)}\r\n".encode())

    def quoted(self, received: bytes) -> str:
        """What was said, on one line, and beside it what was said in base64, in clear."""
        text = received.decode("utf-8", "backslashreplace")
        self.heard.append(text)
        for word in re.findall(r"[A-Za-z0-9+/]{16,}={0,2}", text):
            with suppress(ValueError):
                clear = base64.b64decode(word + "=" * (-len(word) % 4)).decode("ascii")
                text += f" {clear}"
                self.heard.append(clear)
        return re.sub(r"[\x00-\x1f\"\\<>]+", " ", text)[:4000]


@contextmanager
def parrot(token: str) -> Iterator[Parrot]:
    """A parrot on loopback."""
    door = socket.create_server(("127.0.0.1", 0))
    running = Parrot(door.getsockname()[1], token)

    def accept() -> None:
        while True:
            try:
                client, _ = door.accept()
            except OSError:
                return
            threading.Thread(target=running.serve, args=(client,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield running
    finally:
        door.shutdown(socket.SHUT_RDWR)
        door.close()
        thread.join()
