"""A store that is a bucket of S3, Google Cloud Storage or Azure: conditional creates through one client."""

from __future__ import annotations

import io
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, cast

import obstore
from obstore import exceptions
from obstore.store import from_url

from include.errors import Permanent, Transient
from include.snapshots.store import Content, Entry, Missing

RETRIES = 5
CHUNK_BYTES = 8 << 20
PARTS_AT_ONCE = 3  # each holds CHUNK_BYTES; more would cost memory, not time
# A conditional create is one request, which the client holds in memory; a larger file goes up in parts.
LARGE_BYTES = 32 << 20
# S3 copies no more than this in one request, and obstore copies in one.
MOST_COPIED_BYTES = 5 << 30
_AHEAD_BYTES = 256 << 10
UPLOADS = ".parts"  # the folder of objects that are still on their way; SeaweedFS has an .uploads of its own
ENDPOINTS = (
    "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "GOOGLE_BASE_URL", "AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT",
)  # fmt: skip
GONE_WRONG_FOR_GOOD = (
    exceptions.PermissionDeniedError,
    exceptions.UnauthenticatedError,
    exceptions.NotSupportedError,
    exceptions.InvalidPathError,
    exceptions.UnknownConfigurationKeyError,
)


class Bucket:
    """Objects below a bucket's prefix; the client reads credentials and endpoints from the environment."""

    def __init__(self, url: str) -> None:
        self.url = url
        retry: Any = {"max_retries": RETRIES, "retry_timeout": timedelta(seconds=60)}
        # Without TLS only where whoever chose the endpoint wrote it so: a server beside us.
        plain = any(os.environ.get(name, "").startswith("http://") for name in ENDPOINTS)
        options: Any = {"timeout": "120s", "connect_timeout": "10s", "allow_http": plain}
        # S3 has no copy that replaces nothing, but the end of an upload in parts can be conditional.
        more: Any = {"copy_if_not_exists": "multipart"} if url.startswith("s3:") else {}
        with self._errors(""):
            self._store: Any = from_url(url, client_options=options, retry_config=retry, **more)

    def put_new(self, key: str, content: Content, *, move: bool) -> bool:
        """Create with the precondition that the key is absent."""
        with self._errors(key):
            try:
                if isinstance(content, Path) and content.stat().st_size > LARGE_BYTES:
                    self._put_large(key, content)
                else:
                    obstore.put(self._store, key, content, mode="create")
            except (exceptions.AlreadyExistsError, exceptions.PreconditionError):
                return False
        if move and isinstance(content, Path):
            content.unlink(missing_ok=True)
        return True

    def _put_large(self, key: str, file: Path) -> None:
        """Upload in parts beside, then let the store copy it to its name, where that is free."""
        size = file.stat().st_size
        if self.url.startswith("s3:") and size > MOST_COPIED_BYTES:
            raise Permanent(
                f"{self.url}/{key}: {size:,} bytes are more than S3 takes under a name that must be free "
                f"({MOST_COPIED_BYTES:,}); split the export's file, or compress it"
            )
        part = f"{UPLOADS}/{secrets.token_hex(8)}"
        try:
            obstore.put(self._store, part, file, chunk_size=CHUNK_BYTES, max_concurrency=PARTS_AT_ONCE)
            obstore.copy(self._store, part, key, overwrite=False)
        finally:
            self.delete(part)

    def chunks(self, key: str) -> Iterator[bytes]:
        """Yield the object as it arrives."""
        with self._errors(key):
            for chunk in obstore.get(self._store, key).stream(min_chunk_size=1 << 20):
                yield bytes(chunk)

    def reader(self, key: str) -> BinaryIO:
        """Read by ranges, some ahead of what is asked for."""
        entry = self.entry(key)
        if entry is None:
            raise Missing(f"{self.url}/{key} is not in the store")
        ranges = cast("io.RawIOBase", _Ranges(self, key, entry.bytes))
        return cast("BinaryIO", io.BufferedReader(ranges, _AHEAD_BYTES))

    def range(self, key: str, start: int, length: int) -> bytes:
        """Return some bytes of an object."""
        with self._errors(key):
            return bytes(obstore.get_range(self._store, key, start=start, length=length))

    def entry(self, key: str) -> Entry | None:
        """Ask for the object's head."""
        try:
            with self._errors(key):
                return _entry(obstore.head(self._store, key))
        except Missing:
            return None

    def list(self, prefix: str) -> Iterator[Entry]:
        """Yield page after page of the listing, without what is on its way."""
        yield from (found for found in self._all(prefix) if not found.key.startswith(f"{UPLOADS}/"))

    def clear_parts(self, before: datetime) -> int:
        """Delete what uploads left behind that died before then."""
        dead = [found.key for found in self._all(UPLOADS) if found.modified < before]
        for key in dead:
            self.delete(key)
        return len(dead)

    def _all(self, prefix: str) -> Iterator[Entry]:
        with self._errors(prefix):
            for page in obstore.list(self._store, prefix or None):
                yield from (_entry(found) for found in page)

    def delete(self, key: str) -> None:
        """Delete the object; absent is fine."""
        try:
            with self._errors(key):
                obstore.delete(self._store, key)
        except Missing:
            return

    def path(self, key: str) -> Path | None:  # noqa: ARG002 - the folder store has one
        """Return None: nothing of a bucket is a local file."""
        return None

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        """Sort the client's errors by what the caller does next."""
        name = f"{self.url}/{key}".rstrip("/")
        try:
            yield
        except (exceptions.AlreadyExistsError, exceptions.PreconditionError):
            raise
        except (exceptions.NotFoundError, FileNotFoundError) as error:
            raise Missing(f"{name} is not in the store") from error
        except GONE_WRONG_FOR_GOOD as error:
            raise Permanent(f"{name}: {_first_line(error)}") from error
        except exceptions.BaseError as error:
            raise Transient(f"{name}: {_first_line(error)}") from error


class _Ranges(io.RawIOBase):
    """An object of a bucket as a file."""

    def __init__(self, bucket: Bucket, key: str, size: int) -> None:
        self._bucket, self._key, self._size, self._place = bucket, key, size, 0

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def seekable(self) -> bool:
        """Return that it can be read anywhere."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place."""
        begin = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = begin + offset
        return self._place

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        """Fill the buffer; return how many bytes came."""
        length = min(len(buffer), self._size - self._place)
        if length <= 0:
            return 0
        buffer[:length] = self._bucket.range(self._key, self._place, length)
        self._place += length
        return length


def _entry(meta: Any) -> Entry:
    return Entry(meta["path"], meta["size"], meta["last_modified"].astimezone(UTC))


def _first_line(error: Exception) -> str:
    """Return the sentence of the client's error without its debug dump."""
    return str(error).strip().split("\n", 1)[0]
