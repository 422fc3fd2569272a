"""How a person's names are hashed, so that the state can know who was erased and still name nobody.

HMAC-SHA-256 under the password of the connection `loyalty_erasure`. Who has the state database and not the key can
neither read the names nor try them.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable

from include.connections import Secrets
from include.definitions.privacy import MIN_SECRET_CHARACTERS
from include.errors import BadInput, Problem
from include.ledger.people import Name
from include.state.erasures import Erasure

CONNECTION = "loyalty_erasure"
PREFIX = "erased-"
MENTION = "mention"
_RANDOM_BYTES = 8
# A shorter word, or a number, stands in texts for many things.
_MENTION_CHARACTERS = 5


class Hasher:
    """Hashes names under one key."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.check = self._hash("check", "")

    def name(self, kind: Name, value: str) -> str:
        """Return the hash of what a field of this kind holds."""
        return self._hash(kind.value, value)

    def mention(self, value: str) -> str:
        """Return the hash of what is looked for in free texts, in whatever case it is written."""
        return self._hash(MENTION, value.casefold())

    def _hash(self, kind: str, value: str) -> str:
        return hmac.digest(self._key, f"{kind}\0{value}".encode("utf-8", "surrogatepass"), "sha256").hex()


def hasher(secrets_: Secrets, erasures: Iterable[Erasure]) -> Hasher:
    """Return what hashes names as it was done for these erasures.

    Raises BadInput when the key is missing, too short, or not the one of an earlier erasure: then nothing can be read
    without bringing erased people back.
    """
    connection = secrets_.connections.get(CONNECTION)
    password = connection.password if connection else ""
    if len(password) < MIN_SECRET_CHARACTERS:
        found = "missing" if connection is None else f"{len(password)} characters"
        right = (
            f"erased customers are known by hashes under its password: make this connection with a password of "
            f"{MIN_SECRET_CHARACTERS} random characters or more, and keep it"
        )
        raise BadInput([Problem(f"connection {CONNECTION}", found, right, "missing_erasure_key")])
    made = Hasher(password.encode())
    if any(each.detail.check != made.check for each in erasures):
        right = "customers were erased under another password; give that one, for they cannot be known by this one"
        raise BadInput([Problem(f"connection {CONNECTION}", "another key", right, "other_erasure_key")])
    return made


def pseudonym() -> str:
    """Return a new name that says nothing of whom it stands for."""
    return PREFIX + secrets.token_hex(_RANDOM_BYTES)


def is_mention(value: str) -> bool:
    """Say whether a text is long and particular enough to be looked for in other texts."""
    return len(value) >= _MENTION_CHARACTERS and not value.isdigit() and " " not in value
