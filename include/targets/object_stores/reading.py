"""Reading, listing and deleting through obstore, with its errors sorted as the store's own refusals are."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from include.errors import Transient
from include.targets.object_stores.client import CONNECT_SECONDS, SILENCE_SECONDS, code_in
from include.targets.object_stores.sending import ObjectStore

RETRY: Any = {"max_retries": 4, "retry_timeout": timedelta(seconds=60)}
_CHUNK_BYTES = 1 << 20
_STATUS = re.compile(r"\b(?:status(?: code)?:? |non-2xx status code: )(\d{3})\b|\b(\d{3}) [A-Z][a-z]+")


class Read(NamedTuple):
    """What an object held when it was read."""

    bytes: int
    sha256: str


def client_options(endpoint: str) -> Any:
    """Return how obstore talks to a server: over TLS, unless its address says http://."""
    return {
        "connect_timeout": f"{CONNECT_SECONDS}s",
        "read_timeout": f"{SILENCE_SECONDS}s",
        "timeout": "24h",  # of a whole file; silence ends it earlier
        "allow_http": endpoint.startswith("http://"),
    }


def read_back(store: ObjectStore, key: str, most: int) -> Read | None:
    """Return size and hash of the object, None when it is absent; of one larger than `most` bytes the size alone."""
    with _sorted(store, key):
        import obstore

        try:
            found = obstore.get(store.client(), key)
        except FileNotFoundError:
            return None
        size = found.meta["size"]
        if size > most:
            return Read(size, "")
        digest, read = hashlib.sha256(), 0
        for chunk in found.stream(min_chunk_size=_CHUNK_BYTES):
            digest.update(chunk)
            read += len(chunk)
        return Read(read, digest.hexdigest())


def listed(store: ObjectStore, prefix: str) -> Iterator[tuple[str, datetime]]:
    """Yield key and time (UTC) of the objects directly in the folder `prefix`."""
    with _sorted(store, prefix):
        import obstore

        found = obstore.list_with_delimiter(store.client(), prefix.rstrip("/") or None)
        for each in found["objects"]:
            yield each["path"], each["last_modified"].astimezone(UTC)


def delete(store: ObjectStore, key: str) -> None:
    """Delete the object; absent is fine."""
    with _sorted(store, key):
        import obstore

        try:
            obstore.delete(store.client(), key)
        except FileNotFoundError:
            return


@contextmanager
def _sorted(store: ObjectStore, key: str) -> Iterator[None]:
    from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

    try:
        yield
    except BaseError as error:
        text = str(error)
        found = _STATUS.search(text)
        status = int(found[1] or found[2]) if found else 0
        status = status or {PermissionDeniedError: 403, UnauthenticatedError: 401}.get(type(error), 0)
        if not status:
            raise Transient(
                f"{store.place}/{key}: no answer; is the address right, and the server up?"
            ) from error
        raise store.refused(key, status, code_in(text), "") from error
