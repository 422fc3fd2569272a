"""How long an export's delivered files stay in the store."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import BeforeValidator, Field

from include.definitions.base import Strict, refuse

_SPAN = re.compile(r"(\d{1,5}) ?(d|day|days|week|weeks|month|months|year|years)", re.ASCII)
_PATTERN = r"^\d{1,5} ?(d|days?|weeks?|months?|years?)$"
_DAYS = {"d": 1, "w": 7}
_MONTHS = {"m": 1, "y": 12}
_MOST_DAYS = 36_525
_MOST_MONTHS = 1_200


def _span(value: object) -> str:
    match = _SPAN.fullmatch(value) if isinstance(value, str) else None
    if match is not None:
        count, unit = int(match[1]), match[2][0]
        most = _MOST_DAYS // _DAYS[unit] if unit in _DAYS else _MOST_MONTHS // _MONTHS[unit]
        if 1 <= count <= most:
            return match[0]
    raise refuse(
        "bad_retention",
        "must be a whole number of days, weeks, months or years, such as 400d, 13 months or 10 years, from one day to "
        "100 years",
    )


Span = Annotated[
    str,
    BeforeValidator(_span),
    Field(examples=["13 months"], json_schema_extra={"pattern": _PATTERN}),
]


class Retention(Strict):
    """How long what was made stays in the store."""

    files: Span | None = None
    """From a run's last change on, such as `400d`, `13 months` or `10 years`; left out, as the installation says."""


def before(now: datetime, span: str) -> datetime:
    """Return the instant that lies a span before another; a month back from the 31st may be the 30th."""
    match = _SPAN.fullmatch(span)
    assert match is not None
    count, unit = int(match[1]), match[2][0]
    if unit in _DAYS:
        return now - timedelta(days=count * _DAYS[unit])
    months = now.year * 12 + now.month - 1 - count * _MONTHS[unit]
    year, month = divmod(months, 12)
    day = min(now.day, monthrange(year, month + 1)[1])
    return now.replace(year=year, month=month + 1, day=day)
