"""How each API's published document says that a key is brought."""

from __future__ import annotations

from typing import Any


def headers(part: Any, key: str) -> dict[str, str]:
    """The headers of a request with this key."""
    found = {}
    for scheme in part.api.schemes.values():
        if scheme["type"] == "http":
            found["Authorization"] = f"Bearer {key}"
        elif scheme["name"].lower() == "authorization":
            found["Authorization"] = f"ApiKey-v1 {key}"
        elif scheme["name"].lower().endswith("-id"):
            found[scheme["name"]] = key[:21]
        else:
            found[scheme["name"]] = key
    return found
