"""One file goes up, in one request or in parts, and is checked before it gets its name."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from include.errors import LoyaltyError
from include.targets.object_stores.client import LANES, FileBody, changed
from include.targets.protocol import ParcelFile
from include.targets.unchanged import reading

PART_BYTES = 8 << 20
_MIB = 1 << 20


@dataclass(frozen=True)
class Terms:
    """How the store is to keep an object. Empty: as the bucket does by default."""

    content_type: str
    content_encoding: str = ""
    storage_class: str = ""
    encryption: str = ""
    kms_key: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


class Upload(Protocol):
    """An object on its way in parts: nothing can be seen of it until `finish`."""

    def part(self, number: int, data: bytes) -> None:
        """Send part `number`, from 1; all but the last are of one size."""

    def finish(self) -> bool:
        """Give the object its name; False when the name is taken and must not be replaced."""

    def abort(self) -> None:
        """Throw the parts away."""


class ObjectStore(Protocol):
    """A bucket or container, with the credentials of a connection."""

    place: str
    """Its address, for people."""
    lanes: int
    """How many parts may be on their way at once."""
    most_parts: int

    def put(self, key: str, data: bytes, terms: Terms, *, replace: bool) -> bool:
        """Create the object in one go; False when the name is taken and must not be replaced."""

    def stream(self, key: str, body: FileBody, terms: Terms, *, replace: bool) -> bool | None:
        """Create the object in one go from a file as it is read; None where it is better in parts."""

    def begin(self, key: str, size: int, terms: Terms, *, replace: bool) -> Upload:
        """Begin to create an object of `size` bytes in parts."""

    def client(self) -> Any:
        """Return the obstore client that reads, lists and deletes with the same credentials."""

    def links(self, keys: Sequence[str], expires: timedelta) -> list[str]:
        """Return a signed address for each, good for so long; Permanent when these credentials cannot sign."""

    def refused(self, key: str, status: int, code: str, message: str) -> LoyaltyError:
        """Return the error for a refusal of the store, with its remedy."""

    def clear_uploads(self, prefix: str, before: datetime) -> list[str]:
        """End the uploads in parts, of names directly below the prefix, that began before then; return the names."""


def send(
    store: ObjectStore,
    key: str,
    file: ParcelFile,
    terms: Terms,
    *,
    replace: bool,
    told: Callable[[int], None],
) -> bool:
    """Create the object `key`; return False when the name is taken. Nothing is left behind by a failure.

    told: hears the bytes sent so far. At most `PART_BYTES` for each lane and one more are in memory (more only for
    files over 70 GB). Raises Transient when the file is no longer what was rendered.
    """
    part_bytes = max(PART_BYTES, _rounded(file.bytes, store.most_parts))
    if file.bytes <= part_bytes:
        data = file.path.read_bytes()
        if hashlib.sha256(data).hexdigest() != file.sha256:
            raise changed(file.path, file.sha256)
        return store.put(key, data, terms, replace=replace)
    body = FileBody(file.path, file.bytes, file.sha256, told, file.stamp)
    if (created := store.stream(key, body, terms, replace=replace)) is not None:
        return created
    upload = store.begin(key, file.bytes, terms, replace=replace)
    try:
        _parts(upload, file, part_bytes, min(store.lanes, LANES), told)
        return upload.finish()
    except BaseException:
        with suppress(LoyaltyError):
            upload.abort()
        raise


def _rounded(size: int, most_parts: int) -> int:
    """Return the size of parts, in whole MiB, with which a file takes no more than so many."""
    return -(-size // (most_parts * _MIB)) * _MIB


def _parts(
    upload: Upload, file: ParcelFile, part_bytes: int, lanes: int, told: Callable[[int], None]
) -> None:
    """Send the parts, so many at once; Transient when the file is not what it was."""
    sent = 0
    running: deque[tuple[Future[None], int]] = deque()
    with reading(file.path, file.sha256, file.stamp) as (source, read), ThreadPoolExecutor(lanes) as pool:
        for number, chunk in enumerate(iter(lambda: source.read(part_bytes), b""), 1):
            if len(running) == lanes:
                sent += _done(*running.popleft())
                told(sent)
            running.append((pool.submit(upload.part, number, chunk), len(chunk)))
            read.take(chunk)
        for future, size in running:
            sent += _done(future, size)
            told(sent)
        if not read.holds():
            raise changed(file.path, file.sha256)


def _done(future: Future[None], size: int) -> int:
    future.result()
    return size
