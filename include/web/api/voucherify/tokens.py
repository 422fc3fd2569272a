"""The token in the address of a download: it shows which export, for some minutes, to whom it was given.

It is no key: who downloads brings theirs too, and a token is good with the credential it was made for only. So nothing
of it is kept, and nobody who reads the state or a log can make or use one.
"""

from __future__ import annotations

import hmac
import time

from starlette.requests import Request

from include.web.api.caller import Caller
from include.web.api.voucherify.keys import TOKEN

SECONDS = 3600


def made(request: Request, caller: Caller, export_id: str) -> str:
    """Return a token for who asks."""
    until = f"{int(time.time()) + SECONDS:x}"
    return f"{until}.{_signed(request, caller, export_id, until)}"


def is_right(request: Request, caller: Caller, export_id: str, token: str) -> bool:
    """Say whether a token is for this export, was given to who asks, and is not over."""
    until, _, signature = token.partition(".")
    right = _signed(request, caller, export_id, until)
    if not hmac.compare_digest(right.encode(), signature.encode("utf-8", "backslashreplace")):
        return False
    return int(until, 16) > time.time()


def _signed(request: Request, caller: Caller, export_id: str, until: str) -> str:
    credential = caller.reader.login if caller.reader is not None else request.headers.get(TOKEN, "").strip()
    text = f"download\n{export_id}\n{until}"
    return hmac.new(credential.encode(), text.encode("utf-8", "backslashreplace"), "sha256").hexdigest()
