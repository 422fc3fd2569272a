"""A watched folder of an SFTP server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from include.connections import Connection
from include.errors import Permanent
from include.pipeline.inbox.place import FOLDERS, Stamp
from include.snapshots.store import disk_errors
from include.targets.ssh.login import address
from include.targets.ssh.remote import Refused, Remote

if TYPE_CHECKING:
    from collections.abc import Iterable

SECONDS = 60
_REGULAR, _DIRECTORY = 0o10, 0o4


@dataclass(frozen=True)
class There:
    """The folder there, while we are logged in."""

    remote: Remote
    connection: Connection
    folder: str

    def prepare(self) -> None:
        """See `Place`."""
        for name in FOLDERS:
            with self._named("make the folder", name):
                if not self._is_folder(name):
                    self.remote.mkdir(self._path(name), 0o770)

    def files(self, folder: str = "") -> dict[str, Stamp]:
        """See `Place`; names that are no UTF-8 are left alone."""
        with self._named("list the folder", folder):
            listed = list(self.remote.listed(self._path(folder)))
        return {
            name: Stamp(about.st_size or 0, float(about.st_mtime or 0))
            for name, about in listed
            if (about.st_mode or 0) >> 12 == _REGULAR and name.isprintable()
        }

    def fetch(self, name: str, to: Path) -> None:
        """See `Place`."""
        path = self._path(name)
        with self._named("read", name), disk_errors(to), to.open("wb") as out:
            for piece in self.remote.read(path, max(self.remote.size(path) or 0, 0)):
                out.write(piece)

    def move(self, name: str, folder: str, new: str, *, out_of: str = "") -> None:
        """See `Place`; SFTP's own rename never replaces."""
        source = f"{out_of}/{name}" if out_of else name
        with self._named("move", name, out_of):
            self.remote.rename(self._path(source), self._path(f"{folder}/{new}"))

    def put(self, folder: str, name: str, content: Path) -> None:
        """See `Place`."""
        part, path = self._path(f"{folder}/.part-{name}"), self._path(f"{folder}/{name}")

        def pieces(size: int) -> Iterable[bytes]:
            with content.open("rb") as source:
                while piece := source.read(size):
                    yield piece

        with self._named("write", name, folder):
            self.remote.discard(part)
            for _ in self.remote.write(part, pieces):
                pass
            self.remote.discard(path)
            self.remote.rename(part, path)

    def shown(self, name: str, folder: str = "") -> str:
        """See `Place`."""
        return f"{address(self.connection)}:{self._path(f'{folder}/{name}' if folder else name)}"

    def _path(self, name: str) -> str:
        if self.folder == ".":
            return name or "."
        return f"{self.folder.rstrip('/')}/{name}" if name else self.folder

    def _is_folder(self, name: str) -> bool:
        try:
            return (self.remote.stat(self._path(name)).st_mode or 0) >> 12 == _DIRECTORY
        except Refused as refused:
            if refused.code == Refused.MISSING:
                return False
            raise

    @contextmanager
    def _named(self, doing: str, name: str, folder: str = "") -> Iterator[None]:
        try:
            yield
        except Refused as refused:
            raise Permanent(
                f"{self.shown(name, folder)}: the server refuses to {doing}: {refused}. The login "
                f"{self.connection.login} must be allowed to list, read, write, rename and make folders there"
            ) from refused
