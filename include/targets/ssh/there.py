"""One folder on an SFTP server: what is in it, and why something cannot be done there, with what helps."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.connections import Connection
from include.errors import NeedsPerson, Permanent, Transient
from include.targets.protocol import ParcelFile, Seen
from include.targets.ssh.login import address
from include.targets.ssh.remote import Refused, Remote

if TYPE_CHECKING:
    from include.targets.sftp import Options


@dataclass(frozen=True)
class There:
    """The folder on the server, while we are logged in."""

    options: Options
    connection: Connection
    remote: Remote

    @property
    def file_mode(self) -> int | None:
        """The files' permissions as a number."""
        return int(self.options.file_mode, 8) if self.options.file_mode else None

    def path(self, name: str) -> str:
        """Return a file's path for the server."""
        return name if self.options.folder == "." else f"{self.options.folder.rstrip('/')}/{name}"

    def place(self, name: str = "") -> str:
        """Return where a file is, for a person; of the folder without a name."""
        return f"{address(self.connection)}:{self.path(name) if name else self.options.folder}"

    def ready(self) -> None:
        """See that the folder is there, or make it."""
        with self.named("look for"):
            if self._is_folder(self.options.folder):
                return
        if not self.options.create_folder:
            raise Permanent(
                f"{self.place()}: there is no such folder; have it made there, correct `folder`, or set "
                "create_folder: true"
            )
        mode = int(self.options.folder_mode, 8) if self.options.folder_mode else 0o777
        parts = self.options.folder.split("/")
        for folder in ("/".join(parts[: end + 1]) for end in range(len(parts))):
            with self.named("make the folder"):
                if folder and not self._is_folder(folder):
                    self._make(folder, mode)

    def _make(self, folder: str, mode: int) -> None:
        try:
            self.remote.mkdir(folder, mode)
        except Refused:
            if not self._is_folder(folder):  # nobody else was faster
                raise

    def _is_folder(self, path: str) -> bool:
        try:
            mode = self.remote.stat(path).st_mode
        except Refused as refused:
            if refused.code == Refused.MISSING:
                return False
            raise
        if mode is not None and mode >> 12 != 0o4:
            raise Permanent(f"{self.place()}: {path} is a file there, not a folder; correct `folder`")
        return True

    def seen(self, file: ParcelFile) -> Seen:
        """Compare what has the file's name, by its bytes when the size is the same."""
        with self.named("read", file.name):
            size = self.remote.size(self.path(file.name))
            if size is None:
                return Seen.ABSENT
            if size != file.bytes:
                return Seen.OTHER
            digest = hashed(self.remote.read(self.path(file.name), size))
        return Seen.SAME if digest.hexdigest() == file.sha256 else Seen.OTHER

    @contextmanager
    def named(self, doing: str, name: str = "") -> Iterator[None]:
        """Say of what the server refuses: what it was, and what helps."""
        try:
            yield
        except Refused as refused:
            raise self.refused(doing, name, refused) from refused

    def refused(self, doing: str, name: str, refused: Refused) -> Permanent:
        """Return the error for a refusal."""
        what = f"{self.place(name)}: the server refuses to {doing} it: {refused}"
        if refused.code == refused.FORBIDDEN:
            return Permanent(
                f"{what}. Ask its owner for the right of {self.connection.login} to write, read, rename and delete in "
                f"{self.options.folder}"
                + (", or set verify: size where it may write only" if doing == "read" else "")
            )
        if refused.code == refused.MISSING:
            return Permanent(f"{what}. The folder or file is gone; look at {self.options.folder} there")
        return Permanent(f"{what}. Look at the server's log")

    def unwritten(self, file: ParcelFile, part: str, refused: Refused) -> Permanent:
        """Remove the part, and return the error that says why the server stopped taking the file."""
        self.remote.discard(self.path(part))
        if refused.code != refused.FAILURE and refused.code not in refused.FULL:
            return self.refused("write", file.name, refused)
        free = self.remote.free_bytes(self.options.folder)
        told = "" if free is None else f" {free:,} bytes are free there, the file has {file.bytes:,}."
        if refused.code in refused.FULL or (free is not None and free < file.bytes):
            why = "The disk or the quota is full: free some space."
        else:
            why = "A full disk, a quota or a limit of the account does that: ask the server's owner."
        return Permanent(
            f"{self.place(file.name)}: the server stopped taking the file: {refused}.{told} {why}"
        )

    def conflict(self, file: ParcelFile) -> NeedsPerson:
        """Return the error for a name that holds other bytes."""
        return NeedsPerson(
            f"{self.place(file.name)} exists with other content than this delivery's (sha256 {file.sha256[:12]}...). "
            "Look at it, then move it away and deliver again, or set replace: true."
        )


def pieces(
    file: ParcelFile, size: int = 1 << 20, *, start: int = 0, end: int | None = None
) -> Iterator[bytes]:
    """Yield the local file's bytes from `start` to `end`, in pieces of at most `size`."""
    left = (file.bytes if end is None else end) - start
    try:
        with file.path.open("rb") as source:
            source.seek(start)
            while left > 0 and (piece := source.read(min(size, left))):
                left -= len(piece)
                yield piece
    except OSError as error:
        raise Transient(f"{file.path}: {error.strerror}") from error


def hashed(chunks: Iterable[bytes], digest: hashlib._Hash | None = None) -> hashlib._Hash:
    """Return the SHA-256 of the bytes, or of what `digest` had and them."""
    digest = digest or hashlib.sha256()
    for piece in chunks:
        digest.update(piece)
    return digest
