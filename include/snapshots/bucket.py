"""A store that is a bucket of S3, Google Cloud Storage or Azure: conditional creates through one client."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import obstore
from obstore import exceptions
from obstore.store import from_url

from include.errors import Permanent, Transient
from include.snapshots.store import Content, Entry, Missing

RETRIES = 5
CHUNK_BYTES = 8 << 20
PARTS_AT_ONCE = 3  # each holds CHUNK_BYTES; more would cost memory, not time
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
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
        # Without TLS only where whoever chose the endpoint wrote it so: a server beside us.
        plain = endpoint.startswith("http://")
        options: Any = {"timeout": "120s", "connect_timeout": "10s", "allow_http": plain}
        with self._errors(""):
            self._store: Any = from_url(url, client_options=options, retry_config=retry)

    def put_new(self, key: str, content: Content, *, move: bool) -> bool:
        """Create with the precondition that the key is absent; a failed multipart upload is aborted."""
        with self._errors(key):
            try:
                obstore.put(
                    self._store,
                    key,
                    content,
                    mode="create",
                    chunk_size=CHUNK_BYTES,
                    max_concurrency=PARTS_AT_ONCE,
                )
            except (exceptions.AlreadyExistsError, exceptions.PreconditionError):
                return False
        if move and isinstance(content, Path):
            content.unlink(missing_ok=True)
        return True

    def chunks(self, key: str) -> Iterator[bytes]:
        """Yield the object as it arrives."""
        with self._errors(key):
            for chunk in obstore.get(self._store, key).stream(min_chunk_size=1 << 20):
                yield bytes(chunk)

    def entry(self, key: str) -> Entry | None:
        """Ask for the object's head."""
        try:
            with self._errors(key):
                return _entry(obstore.head(self._store, key))
        except Missing:
            return None

    def list(self, prefix: str) -> Iterator[Entry]:
        """Yield page after page of the listing."""
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


def _entry(meta: Any) -> Entry:
    return Entry(meta["path"], meta["size"], meta["last_modified"].astimezone(UTC))


def _first_line(error: Exception) -> str:
    """Return the sentence of the client's error without its debug dump."""
    return str(error).strip().split("\n", 1)[0]
