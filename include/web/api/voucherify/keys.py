"""How Voucherify's clients bring a key: `X-App-Id` and `X-App-Token`, always both."""

from __future__ import annotations

from starlette.requests import Request

ID, TOKEN = "x-app-id", "x-app-token"
SCHEMES = {
    "X-App-Id": {
        "type": "apiKey",
        "in": "header",
        "name": "X-App-Id",
        "description": "How the key begins: `loy_<id>_`, as the list of keys shows it.",
    },
    "X-App-Token": {
        "type": "apiKey",
        "in": "header",
        "name": "X-App-Token",
        "description": "The key, whole.",
    },
}
_NO_KEY = ""


def key_of(request: Request) -> str | None:
    """Return the key of a request; None where it brings neither header, what is no key where the two do not fit."""
    app_id, token = (request.headers.get(name, "").strip() for name in (ID, TOKEN))
    if not app_id and not token:
        return None
    # A program that mixes up its keys is told so, before it acts with the wrong one. A secret may hold a _ too.
    return token if app_id.rstrip("_") == "_".join(token.split("_")[:2]) else _NO_KEY
