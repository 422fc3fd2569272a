"""Public keys by the names that a definition gives: files of the keys folder, or the extra of a connection."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Annotated, NamedTuple

from pydantic import Field

from include.connections import HIDDEN, MISSING, NAME, Connection, Secrets
from include.errors import Problem

FROM_CONNECTION = "connection:"
PUBLIC, PRIVATE = "public_key", "private_key"
MAX_BYTES = 1 << 20
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}")

Recipient = Annotated[str, Field(min_length=1, max_length=2000)]
ConnectionName = Annotated[
    str, Field(pattern=f"^{NAME}$", description="Name of a connection: lower-case letters, digits and _.")
]


class Used(NamedTuple):
    """A key that is used: for what, by which name it was found, and its fingerprint where it has one."""

    purpose: str
    name: str
    fingerprint: str | None


class KeyRefused(Exception):
    """A key that must not be used. `right` says what would be right; `code` is for machines."""

    def __init__(self, right: str, code: str) -> None:
        self.right, self.code = right, code
        super().__init__(right)


def is_private(text: str) -> bool:
    """Whether a text holds a private key of age, OpenPGP or SSH; such a text is never shown."""
    return "AGE-SECRET-KEY-" in text.upper() or "PRIVATE KEY" in text


def refusal(error: KeyRefused, where: str, name: str) -> Problem:
    """Return the problem of a key that goes by this name."""
    return Problem(where, HIDDEN if is_private(name) else name, error.right, error.code)


def named_connections(recipients: Iterable[str]) -> tuple[str, ...]:
    """Return the connections that recipients of the form `connection:NAME` name."""
    return tuple(
        name.removeprefix(FROM_CONNECTION) for name in recipients if name.startswith(FROM_CONNECTION)
    )


def public_key(recipient: str, endings: Sequence[str], secrets: Secrets) -> bytes:
    """Return the key's bytes; KeyRefused when there is none, or it cannot be read."""
    if recipient.startswith(FROM_CONNECTION):
        text = needed(secrets, recipient.removeprefix(FROM_CONNECTION)).text(PUBLIC)
        if not text:
            raise KeyRefused(f"the connection's extra must hold the key as {PUBLIC}", "missing_key")
        return text.encode()
    if not _FILE.fullmatch(recipient):
        right = "must be the name of a key in the keys folder, or connection:NAME"
        raise KeyRefused(right, "bad_key_name")
    stem = next((recipient.removesuffix(end) for end in endings if recipient.endswith(end)), recipient)
    paths = [secrets.keys / f"{stem}{ending}" for ending in endings]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        raise KeyRefused(f"there is no {' or '.join(map(str, paths))}", "missing_key")
    try:
        if path.stat().st_size > MAX_BYTES:
            raise KeyRefused(f"{path} is too large for a key", "bad_key")
        return path.read_bytes()
    except OSError as error:
        raise KeyRefused(f"{path} cannot be read: {error.strerror}", "missing_key") from None


def needed(secrets: Secrets, name: str) -> Connection:
    """Return a connection that was resolved before; KeyRefused when it was not."""
    connection = secrets.connections.get(name)
    if connection is None:
        raise KeyRefused("there is no such connection", MISSING)
    return connection
