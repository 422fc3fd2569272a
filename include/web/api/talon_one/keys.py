"""How Talon.One's clients bring a key: `Authorization: ApiKey-v1 KEY` or `ManagementKey-v1 KEY`; either will do."""

from __future__ import annotations

from starlette.requests import Request

SCHEMES = {
    "api_key_v1": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "`ApiKey-v1 KEY` or `ManagementKey-v1 KEY`, as Talon.One has them: any key of ours, within its "
        "scopes.",
    },
}
_NAMES = frozenset({"apikey-v1", "managementkey-v1"})


def key_of(request: Request) -> str | None:
    """Return the key that a request brings; None where it brings none in the vendor's way."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() in _NAMES else None
