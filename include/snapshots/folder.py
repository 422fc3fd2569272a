"""A store that is a local folder: written beside, made durable, then linked, which replaces nothing."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from include.errors import Permanent
from include.snapshots.store import Content, Entry, Missing, disk_errors

CHUNK_BYTES = 1 << 20
PART = ".part-"


class Folder:
    """Objects are files below `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put_new(self, key: str, content: Content, *, move: bool) -> bool:
        """Write a part beside the final name, fsync it, and link it there: atomic and never an overwrite."""
        target = self.root / key
        if target.exists():
            return False
        part = target.with_name(f"{PART}{secrets.token_hex(8)}")
        with disk_errors(part):
            _reserve(part)
            try:
                if not (move and isinstance(content, Path) and _linked(content, target)):
                    _write(part, content)
                    os.link(part, target)
            except FileExistsError:
                part.unlink()
                return False
            part.unlink()
            _sync(target.parent)
        if move and isinstance(content, Path):
            content.unlink(missing_ok=True)
        return True

    def reader(self, key: str) -> BinaryIO:
        """Open the file."""
        try:
            return (self.root / key).open("rb")
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            raise Missing(f"{self.root / key} is not in the store") from error
        except OSError as error:
            raise Permanent(f"{self.root / key}: {error.strerror}") from error

    def chunks(self, key: str) -> Iterator[bytes]:
        """Yield the file in pieces."""
        with self.reader(key) as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk

    def entry(self, key: str) -> Entry | None:
        """Return size and time of the file."""
        path = self.root / key
        try:
            status = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return (
            None
            if path.is_dir()
            else Entry(key, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC))
        )

    def list(self, prefix: str) -> Iterator[Entry]:
        """Return the files below the folder, without parts that are being written."""
        return self._all(prefix, parts=False)

    def clear_parts(self, before: datetime) -> int:
        """Delete the parts of writers that died before then."""
        dead = [found.key for found in self._all("", parts=True) if found.modified < before]
        for key in dead:
            self.delete(key)
        return len(dead)

    def _all(self, prefix: str, *, parts: bool) -> Iterator[Entry]:
        for folder, _, names in os.walk(self.root / prefix):
            for name in names:
                key = (Path(folder) / name).relative_to(self.root).as_posix()
                if name.startswith(PART) is parts and (entry := self.entry(key)):
                    yield entry

    def delete(self, key: str) -> None:
        """Delete the file, and its folder when that is left empty."""
        path = self.root / key
        path.unlink(missing_ok=True)
        for folder in path.parents:
            if folder == self.root or not folder.is_relative_to(self.root):
                break
            try:
                folder.rmdir()
            except OSError:
                break

    def path(self, key: str) -> Path | None:
        """Return the file itself."""
        return self.root / key


def _reserve(part: Path) -> None:
    """Create the part and its folder, which the deletion of a neighbour may be removing at this moment."""
    for attempt in range(100):
        part.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.touch(exist_ok=False)
        except FileNotFoundError:
            if attempt == 99:
                raise
        else:
            return


def _linked(source: Path, target: Path) -> bool:
    """Give the source its final name, at no cost; False when it lies on another file system."""
    _sync(source)
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno in {errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP}:
            return False
        raise
    return True


def _write(part: Path, content: Content) -> None:
    """Write the content and make its bytes survive a power cut."""
    if isinstance(content, Path):
        shutil.copyfile(content, part)
    else:
        with part.open("wb") as file:
            for chunk in [content] if isinstance(content, bytes) else content:
                file.write(chunk)
    _sync(part)


def _sync(path: Path) -> None:
    """Sync a file's bytes, or a folder's names, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:
        # Some network file systems cannot sync a folder; the file itself was synced then.
        if not path.is_dir():
            raise
    finally:
        os.close(handle)
