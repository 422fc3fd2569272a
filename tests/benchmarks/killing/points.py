"""The places in a process at which it can be killed: each step of the record, each call that a server or a disk sees."""

from __future__ import annotations

import http.client
import os
import signal
import smtplib
import sys
from collections.abc import Callable
from typing import Any

_STEPS = ("claim", "ready", "sending", "record", "confirmed", "uncertain", "failed", "conflict")
_CALLS = frozenset({"open", "os.link", "os.rename", "os.remove", "os.mkdir"})


class Points:
    """Counts the points that the process passes, and kills it at one of them, or stops it; `tell` hears at which."""

    def __init__(self, wanted: int | None, tell: Callable[[str], None], how: int = signal.SIGKILL) -> None:
        self.passed = 0
        self._wanted, self._tell, self._how = wanted, tell, how

    def here(self, label: str, first: Callable[[], object] = lambda: None) -> None:
        """Pass a point. first: done just before the end, such as sending half of a piece."""
        if self.passed == self._wanted:
            self._tell(label)
            first()
            os.kill(os.getpid(), self._how)
        self.passed += 1

    def around(self, owner: Any, name: str, label: str) -> None:
        """Make points before and after a method."""
        plain = getattr(owner, name)

        def wrapped(*arguments: Any, **named: Any) -> Any:
            self.here(f"before {label}")
            found = plain(*arguments, **named)
            self.here(f"after {label}")
            return found

        setattr(owner, name, wrapped)

    def of_the_record(self) -> None:
        """Before and after each write of the delivery's row."""
        from include.state.deliveries import Deliveries

        for step in _STEPS:
            self.around(Deliveries, step, step)

    def of_http(self) -> None:
        """Half of each piece that goes out, and after each reply."""
        plain = http.client.HTTPConnection.send

        def send(connection: Any, data: Any) -> None:
            def half() -> None:
                if isinstance(data, bytes):
                    plain(connection, data[: len(data) // 2])

            self.here("half a piece sent", half)
            plain(connection, data)

        http.client.HTTPConnection.send = send  # type: ignore[method-assign]
        self._after(http.client.HTTPConnection, "getresponse", "a reply read")

    def of_mail(self) -> None:
        """Before each command or message goes out, and after each reply."""
        self._before(smtplib.SMTP, "send", "a command")
        self._after(smtplib.SMTP, "getreply", "a reply read")

    def of_ssh(self, client: Any) -> None:
        """Before and after each SFTP request of this class of clients."""
        self.around(client, "_send_packet", "a request")

    def of_the_disk(self, folder: str) -> None:
        """Before each call of the system on a folder."""

        def watch(event: str, arguments: tuple[Any, ...]) -> None:
            if event in _CALLS and folder in str(arguments[:2]):
                self.here(f"before {event}")

        sys.addaudithook(watch)

    def _before(self, owner: Any, name: str, label: str) -> None:
        plain = getattr(owner, name)

        def wrapped(*arguments: Any, **named: Any) -> Any:
            self.here(f"before {label}")
            return plain(*arguments, **named)

        setattr(owner, name, wrapped)

    def _after(self, owner: Any, name: str, label: str) -> None:
        plain = getattr(owner, name)

        def wrapped(*arguments: Any, **named: Any) -> Any:
            found = plain(*arguments, **named)
            self.here(f"after {label}")
            return found

        setattr(owner, name, wrapped)
