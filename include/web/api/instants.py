"""Instants as our own API takes them: RFC 3339 text with its offset, never a number of seconds."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated

from pydantic import AwareDatetime, BeforeValidator

from include.definitions.base import refuse


def _as_text(value: object) -> object:
    if isinstance(value, datetime) or (isinstance(value, str) and re.match(r"\d{4}-\d{2}-\d{2}[Tt ]", value)):
        return value
    raise refuse(
        "not_an_instant", "an instant is written 2026-01-31T00:00:00Z, or with another offset than Z"
    )


Instant = Annotated[AwareDatetime, BeforeValidator(_as_text)]
