"""The object store of snapshots, artefacts and folder targets: one interface over a folder and over buckets.

What a key names is absent or whole, and never changes: `put_new` creates it or says that it is there.
URLs: `file:///folder`, `s3://bucket/prefix`, `gs://bucket/prefix`, `abfs://container@account.../prefix`.
Credentials come from the environment, as each vendor's own tools read them, never from the URL.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol
from urllib.parse import unquote, urlsplit

from include.errors import BadInput, Permanent, Problem

Content = bytes | Path | Iterable[bytes]
SCHEMES = ("file", "s3", "gs", "abfs", "abfss", "az")


class Entry(NamedTuple):
    """One object: its key, its size in bytes, when it was written (UTC)."""

    key: str
    bytes: int
    modified: datetime


class Missing(Permanent):
    """The key is not in the store."""


class Backend(Protocol):
    """What a kind of store does; keys are checked by `Store`."""

    def put_new(self, key: str, content: Content, *, move: bool) -> bool:
        """Create the object whole, or return False because the key exists."""

    def chunks(self, key: str) -> Iterator[bytes]:
        """Yield the object's bytes; raise Missing."""

    def reader(self, key: str) -> BinaryIO:
        """Open the object to be read here and there, no more of it than is asked for; raise Missing."""

    def entry(self, key: str) -> Entry | None:
        """Return the object's entry, or None."""

    def list(self, prefix: str) -> Iterator[Entry]:
        """Yield the entries whose keys begin with the folder `prefix`."""

    def delete(self, key: str) -> None:
        """Delete the object; absent is fine."""

    def clear_parts(self, before: datetime) -> int:
        """Delete what writers left behind that died before then; return how many."""

    def path(self, key: str) -> Path | None:
        """Return the local file of the object, where there is one."""


class Store:
    """An object store at a URL. Raises Transient for networks, Permanent for rights and full disks."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in SCHEMES:
            known = ", ".join(f"{scheme}://" for scheme in SCHEMES)
            raise BadInput(
                [Problem("store", parts.scheme + "://", f"known stores are {known}", "unknown_store")]
            )
        if parts.password:
            right = "credentials belong in the environment, not in the URL"
            raise BadInput([Problem("store", parts.scheme + "://...", right, "secret_in_url")])
        self.url = url.rstrip("/")
        self._backend: Backend
        if parts.scheme == "file":
            from include.snapshots.folder import Folder

            if parts.netloc not in {"", "localhost"} or not parts.path.startswith("/"):
                raise BadInput([Problem("store", url, "a file:// URL has an absolute path", "bad_store_url")])
            self._backend = Folder(Path(unquote(parts.path)))
        else:
            from include.snapshots.bucket import Bucket

            self._backend = Bucket(self.url)

    def put_new(self, key: str, content: Content, *, move: bool = False) -> bool:
        """Create `key` whole from bytes, chunks or a local file; return False if it exists, changing nothing.

        move: the local file is given away (a folder store then links it instead of copying it).
        """
        return self._backend.put_new(checked(key), content, move=move)

    def read(self, key: str) -> bytes:
        """Return the whole object, which is known to be small; raise Missing."""
        return b"".join(self._backend.chunks(checked(key)))

    def chunks(self, key: str) -> Iterator[bytes]:
        """Yield the object's bytes in order, in pieces of a few MiB at most; raise Missing."""
        return self._backend.chunks(checked(key))

    def reader(self, key: str) -> BinaryIO:
        """Open the object to be read here and there, no more of it than is asked for; raise Missing."""
        return self._backend.reader(checked(key))

    def get_to(self, key: str, path: Path) -> Path:
        """Copy the object into the local file `path` (written beside, then renamed); raise Missing."""
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".part-{path.name}")
        with disk_errors(part), part.open("wb") as file:
            for chunk in self.chunks(key):
                file.write(chunk)
        part.replace(path)
        return path

    def entry(self, key: str) -> Entry | None:
        """Return the object's size and time, or None when it is absent."""
        return self._backend.entry(checked(key))

    def exists(self, key: str) -> bool:
        """Say whether the object is there."""
        return self.entry(key) is not None

    def list(self, prefix: str = "") -> Iterator[Entry]:
        """Yield all objects in the folder `prefix` and below, by key."""
        folder = checked(prefix.rstrip("/")) if prefix else ""
        yield from sorted(self._backend.list(folder))

    def delete(self, key: str) -> None:
        """Delete the object; absent is fine."""
        self._backend.delete(checked(key))

    def clear_parts(self, before: datetime) -> int:
        """Delete parts of objects whose writers died, last written before then; return how many there were."""
        return self._backend.clear_parts(before)

    def path(self, key: str) -> Path | None:
        """Return the local file of an object of a folder store, None for any other store."""
        return self._backend.path(checked(key))


def checked(key: str) -> str:
    """Return the key if it can only name something below the store's root, else raise BadInput."""
    steps = key.split("/")
    if any(step in {"", ".", "..", ".parts"} or step.startswith(".part-") for step in steps) or set(
        key
    ) & set("\\\0"):
        raise BadInput([Problem("store key", key, "a relative path without '..' or empty steps", "bad_key")])
    return key


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn a full disk or a missing right into Permanent that names the path, and leave no part behind."""
    try:
        yield
    except OSError as error:
        wrote = path.stat().st_size if path.exists() else 0
        with suppress(OSError):  # a folder above it may be a file
            path.unlink(missing_ok=True)
        raise Permanent(f"{path}: {error.strerror or error} (after {wrote} bytes)") from error
    except BaseException:
        path.unlink(missing_ok=True)
        raise
