"""A TCP proxy on loopback for faults: delay, a cut after so many bytes, a hole that swallows everything."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

Way = Literal["up", "down"]


class Fault(Enum):
    """What happens to a connection after so many bytes."""

    CUT = "both ends see it closed"
    HOLE = "nothing passes any more, and nobody is told"


@dataclass
class Proxy:
    """One proxy. delay: seconds that each piece waits; fault, after, way: what happens after so many bytes.

    passed: bytes of all connections, up to the server and down from it.
    """

    port: int
    delay: float = 0
    fault: Fault | None = None
    after: int = 0
    way: Way = "up"
    passed: dict[Way, int] = field(default_factory=lambda: {"up": 0, "down": 0})
    faults: int = 0

    def fail(self, fault: Fault, after: int, way: Way = "up") -> None:
        """Let this happen once so many bytes have passed from now on."""
        self.passed[way] = 0
        self.fault, self.after, self.way = fault, after, way

    def heal(self) -> None:
        self.fault = None

    def _strikes(self, way: Way) -> bool:
        return self.fault is not None and self.passed[self.way] >= self.after and way == self.way


def _pass_on(
    proxy: Proxy, way: Way, source: socket.socket, target: socket.socket, hole: threading.Event
) -> None:
    with suppress(OSError):
        while data := source.recv(16_384):
            if proxy.delay:
                time.sleep(proxy.delay)
            if proxy.fault is not None and way == proxy.way:  # not a byte too many
                data = data[: max(0, proxy.after - proxy.passed[way])]
            proxy.passed[way] += len(data)
            if not hole.is_set():
                target.sendall(data)
            if proxy._strikes(way):
                proxy.faults += 1
                if proxy.fault is Fault.CUT:
                    break
                hole.set()
    if hole.is_set():
        return
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxy_to(port: int) -> Iterator[Proxy]:
    """Stand before the server on this port of loopback."""
    listener = socket.create_server(("127.0.0.1", 0))
    proxy, ends = Proxy(listener.getsockname()[1]), []

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", port))
            except OSError:
                return
            ends.extend([client, server])
            hole = threading.Event()
            for way, source, target in (("up", client, server), ("down", server, client)):
                arguments = (proxy, way, source, target, hole)
                threading.Thread(target=_pass_on, args=arguments, daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
