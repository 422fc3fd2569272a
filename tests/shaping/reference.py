"""What a filter keeps, said a second time in plain Python, one cell at a time, without ranges or Arrow."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from include.ledger.fields import FieldType

NEGATIVE = {"not_in": "in", "is_not": "is", "not_contain": "contains"}
NUMBERS = (FieldType.POINTS, FieldType.MONEY, FieldType.RATE, FieldType.INTEGER)


def holds(word, cell, values, kind, today: date, zone: str) -> bool:
    """cell: None, str, bool, Decimal (numbers), date, aware datetime, or for JSON the parsed value (numbers Decimal)."""
    if word in NEGATIVE:
        return not holds(NEGATIVE[word], cell, values, kind, today, zone)
    if word == "is_unknown":
        return cell is None
    if cell is None:
        return False
    return word == "has_value" or any(
        _one(word, cell, value, kind, today, ZoneInfo(zone)) for value in values
    )


def _one(word, cell, value, kind, today, where) -> bool:  # noqa: PLR0911 (one case a line)
    if word in ("is", "in"):
        return _same(cell, value, kind, where)
    if word in ("contains", "starts_with", "ends_with"):
        if isinstance(cell, list):
            return word == "contains" and any(_same(element, value, kind, where) for element in cell)
        does = {"contains": str.__contains__, "starts_with": str.startswith, "ends_with": str.endswith}[word]
        return isinstance(cell, str) and isinstance(value, str) and does(cell, value)
    if word.startswith("count"):
        if not isinstance(cell, (list, dict)):
            return False
        size, other = len(cell), int(value)
        return {"count": size == other, "count_less": size < other, "count_more": size > other}[word]
    if word in ("more_than", "less_than", "more_than_equal", "less_than_equal"):
        if not isinstance(cell, Decimal):
            return False
        other = Decimal(str(value))
        return {"more_than": cell > other, "less_than": cell < other, "more_than_equal": cell >= other,
                "less_than_equal": cell <= other}[word]  # fmt: skip
    return _timely(word, cell, value, kind, today, where)


def _same(cell, value, kind, where) -> bool:  # noqa: PLR0911 (one case a line)
    if kind in NUMBERS:
        return cell == Decimal(str(value))
    if kind is FieldType.DATE:
        return cell == date.fromisoformat(value)
    if kind is FieldType.INSTANT:
        if len(value) == 10:
            return cell.astimezone(where).date() == date.fromisoformat(value)
        return cell == datetime.fromisoformat(value)
    if isinstance(cell, bool) or isinstance(value, bool):
        return cell is value
    if isinstance(cell, Decimal):
        return isinstance(value, (int, float)) and cell == Decimal(str(value))
    return cell == value


def _timely(word, cell, value, kind, today, where) -> bool:
    if kind is FieldType.JSON:
        cell = _read_time(cell)
        if cell is None:
            return False
    at = cell if isinstance(cell, datetime) else None
    day = at.astimezone(where).date() if at else cell
    if word in ("after", "before"):
        if len(value) == 10:
            other = date.fromisoformat(value)
            return day > other if word == "after" else day < other
        at = at or datetime(day.year, day.month, day.day, tzinfo=where).astimezone(UTC)
        other = datetime.fromisoformat(value)
        return at > other if word == "after" else at < other
    ahead = (day - today) // timedelta(days=1)
    count = int(value)
    return {
        "is_days_ago": ahead == -count,
        "is_days_in_future": ahead == count,
        "more_than_ago": ahead < -count,
        "less_than_ago": -count < ahead <= 0,
        "more_than_future": ahead > count,
        "less_than_future": 0 <= ahead < count,
    }[word]


def _read_time(cell):
    try:
        return date.fromisoformat(cell) if len(cell) == 10 else datetime.fromisoformat(cell).astimezone(UTC)
    except (TypeError, ValueError):
        return None


def from_json(text):
    return None if text is None else json.loads(text, parse_float=Decimal, parse_int=Decimal)
