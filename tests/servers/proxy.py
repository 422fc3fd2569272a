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

    times: to how many connections it happens; None: to all until it is healed.
    passed: bytes of all connections, up to the server and down from it.
    """

    port: int
    delay: float = 0
    fault: Fault | None = None
    after: int = 0
    way: Way = "up"
    times: int | None = None
    passed: dict[Way, int] = field(default_factory=lambda: {"up": 0, "down": 0})
    faults: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def fail(self, fault: Fault, after: int, way: Way = "up", times: int | None = None) -> None:
        """Let this happen once so many bytes have passed from now on."""
        with self._lock:
            self.passed[way] = 0
            self.fault, self.after, self.way, self.times = fault, after, way, times

    def heal(self) -> None:
        with self._lock:
            self.fault = None

    def _passing(self, way: Way, data: bytes) -> tuple[bytes, Fault | None]:
        """What passes of these bytes, not one too many, and what happens to their connection then."""
        with self._lock:
            fault = self.fault if way == self.way else None
            if fault is not None:
                data = data[: max(0, self.after - self.passed[way])]
            self.passed[way] += len(data)
            if fault is None or self.passed[way] < self.after:
                return data, None
            self.faults += 1
            if self.times is not None:
                self.times -= 1
                self.fault = fault if self.times else None
            return data, fault


def _pass_on(
    proxy: Proxy, way: Way, source: socket.socket, target: socket.socket, hole: threading.Event
) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            if proxy.delay:
                time.sleep(proxy.delay)
            passing, fault = proxy._passing(way, data)
            if not hole.is_set():
                target.sendall(passing)
            if fault is Fault.CUT:
                break
            if fault is Fault.HOLE:
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
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
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
