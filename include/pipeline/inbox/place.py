"""A watched folder and the three beside its files: `taken`, `archive` and `refused`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

from include.connections import Resolver, resolve
from include.errors import BadInput
from include.pipeline.inbox.config import Inbox
from include.settings import Settings

TAKEN, ARCHIVE, REFUSED = FOLDERS = ("taken", "archive", "refused")


class Stamp(NamedTuple):
    """What tells that a file was written to: its size in bytes and its time, by the clock of where it lies."""

    bytes: int
    modified: float


class Place(Protocol):
    """A watched folder while it is open. Names have no slash. Raises Permanent, and Transient for a network."""

    def prepare(self) -> None:
        """See that the three folders are there, or make them."""

    def files(self, folder: str = "") -> dict[str, Stamp]:
        """Return the regular files of the watched folder, or of one of the three; links are none."""

    def fetch(self, name: str, to: Path) -> None:
        """Copy a file of the watched folder."""

    def move(self, name: str, folder: str, new: str, *, out_of: str = "") -> None:
        """Give a file its name in one of the three folders, in one step; what has that name is not replaced."""

    def put(self, folder: str, name: str, content: Path) -> None:
        """Write a file into one of the three folders, whole or not at all; one of that name is replaced."""

    def shown(self, name: str, folder: str = "") -> str:
        """Return where a file is, for a person."""


@contextmanager
def opened(inbox: Inbox, connections: Resolver, settings: Settings) -> Iterator[Place]:
    """Open an inbox's folder; BadInput for a connection that is missing or cannot be read."""
    if inbox.connection is None:
        from include.pipeline.inbox.local import Local

        yield Local(Path(inbox.folder))
        return
    secrets, problems = resolve(connections, [inbox.connection], settings.keys)
    if problems:
        raise BadInput(problems)
    from include.pipeline.inbox.remote import SECONDS, There
    from include.targets.ssh.remote import connected

    connection = secrets.connections[inbox.connection]
    with connected(connection, SECONDS) as remote:
        yield There(remote, connection, inbox.folder)
