"""E-mail addresses, as definitions and settings may name them: one plain address, never a header."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from include.definitions.base import refuse

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
ADDRESS = rf"{_ATOM}(\.{_ATOM})*@{_LABEL}(\.{_LABEL})*"
# RFC 5321: 64 octets before the @, 254 in all.
_LOCAL, _WHOLE = 64, 254


def is_address(text: str) -> bool:
    """Return whether the text is one address (RFC 5321, unquoted, in ASCII; a Unicode domain as xn--...).

    One with `=?` in it is none: in a header that begins an encoded word (RFC 2047).
    """
    whole = re.fullmatch(ADDRESS, text, re.ASCII) is not None and "=?" not in text
    return whole and len(text) <= _WHOLE and len(text.partition("@")[0]) <= _LOCAL


def _address(value: str) -> str:
    if not is_address(value):
        raise refuse("bad_address", "must be one e-mail address alone, such as ops@example.com")
    return value


Address = Annotated[
    str,
    AfterValidator(_address),
    Field(examples=["ops@example.com"], json_schema_extra={"pattern": f"^{ADDRESS}$", "maxLength": _WHOLE}),
]
