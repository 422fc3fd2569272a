"""What every part of a definition is built on: strict models, and the small types that YAML is read into."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError


class Strict(BaseModel):
    """A model that refuses unknown keys and never changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


M = TypeVar("M", bound=BaseModel)


def strictly(model: type[M], values: Mapping[str, Any]) -> M:
    """Return the model of values as YAML and JSON give them: `true`, "3" and 2.0 are no whole numbers, 1 is not `true`.

    Raises pydantic's ValidationError.
    """
    return model.model_validate_json(json.dumps(values, default=str), strict=True)


def is_text(text: str) -> bool:
    """Return whether a text can be written: JSON can hold half a character, and no file can."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def refuse(code: str, right: str, *, at: str = "") -> PydanticCustomError:
    """Return the error for one wrong value: `code` for machines, `right` says what would be right.

    at: which key of the value must be changed, where the whole was looked at.
    """
    # Braces in the sentence are text, not fields to fill.
    return PydanticCustomError(code, "{right}", {"right": right, "at": at})


def _time(value: object) -> time:
    if isinstance(value, time):
        return value
    match = (
        re.fullmatch(r"(\d{1,2}):(\d{2})(?::(\d{2}))?", value, re.ASCII) if isinstance(value, str) else None
    )
    if match:
        hour, minute, second = (int(part or 0) for part in match.groups())
        if hour < 24 and minute < 60 and second < 60:
            return time(hour, minute, second)
    raise refuse("bad_time", "must be a time of day such as 06:00 or 23:30")


def show_time(value: time) -> str:
    """Return `06:00`, with seconds only where there are some."""
    return value.isoformat("seconds" if value.second else "minutes")


def show_day(day: date) -> str:
    """Return `2 March 2026`."""
    return f"{day.day} {day:%B %Y}"


def _date(value: object) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value, re.ASCII):
        try:
            day = date.fromisoformat(value)
        except ValueError:
            raise refuse("no_such_date", "is not in the calendar") from None
        if 1970 <= day.year <= 2200:
            return day
    raise refuse("bad_date", "must be a date between 1970 and 2200, such as 2026-01-31")


def read_instant(value: object) -> datetime:
    """Return an instant (UTC) from ISO 8601 text with a zone, or from an aware datetime."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            value = None
    if not isinstance(value, datetime):
        raise refuse("bad_instant", "must be an instant such as 2026-02-01T00:00:00+01:00")
    if value.tzinfo is None:
        raise refuse("instant_without_zone", "has no zone; add one, as in 2026-02-01T00:00:00+01:00 or ...Z")
    if not 1970 <= value.year <= 2200:
        raise refuse("bad_instant", "must be an instant between 1970 and 2200")
    return value.astimezone(UTC)


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _delay(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    match = isinstance(value, str) and re.fullmatch(r"(\d{1,6})([smhd])", value, re.ASCII)
    if match:
        delay = timedelta(seconds=int(match[1]) * _UNITS[match[2]])
        if delay <= timedelta(days=7):
            return delay
    raise refuse("bad_delay", "must be a whole number with s, m, h or d, such as 5m, of 7 days at most")


def instant_text(value: datetime) -> str:
    """Return an instant in UTC as ISO 8601 text, with Z."""
    return value.isoformat().replace("+00:00", "Z")


def _schema(**keys: Any) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", **keys})


INSTANT_SCHEMA = {
    "type": "string",
    "format": "date-time",
    "pattern": r"^\d{4}-\d{2}-\d{2}T",
    "examples": ["2026-02-01T00:00:00+01:00"],
}
Clock = Annotated[
    time,
    BeforeValidator(_time),
    PlainSerializer(show_time, when_used="json"),
    _schema(pattern=r"^\d{1,2}:\d{2}(:\d{2})?$", examples=["06:00"]),
]
Day = Annotated[
    date,
    BeforeValidator(_date),
    _schema(format="date", pattern=r"^\d{4}-\d{2}-\d{2}$", examples=["2026-01-31"]),
]
Delay = Annotated[
    timedelta,
    BeforeValidator(_delay),
    PlainSerializer(lambda value: f"{int(value.total_seconds())}s", when_used="json"),
    _schema(pattern=r"^\d{1,6}[smhd]$", examples=["5m"]),
]
