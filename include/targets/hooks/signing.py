"""Signatures as the Standard Webhooks convention has them: HMAC-SHA256 over id, timestamp and body.

Source: github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md, "symmetric signatures".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Iterable, Sequence
from typing import Any

PREFIX = "whsec_"
# The convention asks for 24 to 64 random bytes; a longer key only costs a hash.
_SHORTEST_BYTES = 24


def keys_of(secret: Any, wrong: Callable[[str], None]) -> tuple[bytes, ...]:
    """Return the keys of a connection's `secret`: a text, or several while receivers change to a new one.

    `whsec_` and base64 stand for the bytes; any other text for itself. `wrong` hears what is wrong with it.
    """
    texts = [secret] if isinstance(secret, str) else secret if isinstance(secret, list) else []
    if secret is not None and (not texts or not all(isinstance(text, str) for text in texts)):
        wrong("a text, or a list of texts while it is being changed")
        return ()
    try:
        keys = tuple(_key(text) for text in texts)
    except binascii.Error:
        wrong(f"what follows {PREFIX} is base64")
        return ()
    if any(len(key) < _SHORTEST_BYTES for key in keys):
        wrong(
            f"at least {_SHORTEST_BYTES} random bytes, such as {PREFIX} and the output of openssl rand -base64 32"
        )
    return keys


def headers(keys: Sequence[bytes], message_id: str, timestamp: int, body: Iterable[bytes]) -> dict[str, str]:
    """Return the convention's headers; without keys there is no signature. timestamp: seconds since 1970."""
    found = {"webhook-id": message_id, "webhook-timestamp": str(timestamp)}
    if keys:
        macs = [hmac.new(key, f"{message_id}.{timestamp}.".encode(), hashlib.sha256) for key in keys]
        for piece in body:
            for mac in macs:
                mac.update(piece)
        found["webhook-signature"] = " ".join(f"v1,{base64.b64encode(mac.digest()).decode()}" for mac in macs)
    return found


def _key(text: str) -> bytes:
    if not text.startswith(PREFIX):
        return text.encode()
    return base64.b64decode(text.removeprefix(PREFIX), validate=True)
