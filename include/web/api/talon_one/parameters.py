"""The query parameters of Talon.One: instants, lists and pages, as its clients write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import Depends, Path, Query
from pydantic import BeforeValidator

PROGRAM = "/v1/loyalty_programs/{loyaltyProgramId}"
PROFILE = PROGRAM + "/profile/{integrationId:path}"  # an id may hold a slash
CARD = PROGRAM + "/cards/{loyaltyCardId:path}"
PAGE_SIZE = 50
LARGEST_PAGE = 1000
_INSTANT = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d)(:\d\d)?(?:\.(\d{1,9}))?(?:([Zz])|([+\- ])(\d\d:\d\d))?)?"
)
_RIGHT = "must be an RFC 3339 timestamp such as 2026-03-01T23:59:59Z, or a date, which is its midnight in UTC"


def instant_of(text: object) -> datetime:
    """Return an instant in UTC; ValueError for what is none.

    Without a zone it is UTC, without a time midnight, as the vendor says. A + that a client did not encode comes as a
    space.
    """
    found = _INSTANT.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None:
        raise ValueError(_RIGHT)
    day, minute, second, fraction, _, sign, offset = found.groups()
    zone = f"{'-' if sign == '-' else '+'}{offset}" if offset else "+00:00"
    micros = (fraction or "")[:6].ljust(6, "0")
    try:
        return datetime.fromisoformat(
            f"{day}T{minute or '00:00'}{second or ':00'}.{micros}{zone}"
        ).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(_RIGHT) from None


def listed(texts: list[str]) -> tuple[str, ...]:
    """Return the items of a list, which clients repeat, or put commas between."""
    return tuple(dict.fromkeys(one for text in texts for one in text.split(",") if one))


def written(instant: datetime) -> str:
    """Return an instant as the vendor writes it: RFC 3339 in UTC, with what there is of a second."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


Moment = Annotated[datetime, BeforeValidator(instant_of)]
EndDate = Annotated[
    Moment | None,
    Query(alias="endDate", description="Figures before this instant, past or future; left out: now."),
]
RangeStart = Annotated[Moment, Query(alias="rangeStart", description="Rows from this instant on.")]
RangeEnd = Annotated[Moment, Query(alias="rangeEnd", description="Rows before this instant.")]
DateFormat = Annotated[
    Literal["excel", "ISO8601"],
    Query(alias="dateFormat", description="excel: 2026-03-01 06:00:00. ISO8601: 2026-03-01T06:00:00Z."),
]
ProfileId = Annotated[str, Path(alias="integrationId", description="The customer's id in the ledger.")]
CardId = Annotated[str, Path(alias="loyaltyCardId", description="The card's number.")]


class Page:
    """Which rows of a list: `size` of them after the first `skip`."""

    def __init__(
        self,
        size: Annotated[int, Query(alias="pageSize", ge=1, le=LARGEST_PAGE)] = PAGE_SIZE,
        skip: Annotated[int, Query(ge=0, le=2**53)] = 0,
    ) -> None:
        self.size, self.skip = size, skip


Paged = Annotated[Page, Depends()]
