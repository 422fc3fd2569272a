"""The values of a filter, typed by the field that they are compared with."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction

from include.definitions.operators import NUMBERS, TEXTS, Operator
from include.ledger.fields import PLACES, FieldType

Raw = str | int | float | bool
Value = str | int | bool | Decimal | date | datetime

FIRST_YEAR, LAST_YEAR = 1800, 2500
MOST_DAYS = 36_500
_LARGEST = {FieldType.POINTS: 2**63 - 1, FieldType.INTEGER: 2**63 - 1}
_EIGHTEEN_DIGITS = 10**18 - 1
_NUMBER = re.compile(r"[-+]?[0-9]+(\.[0-9]+)?", re.ASCII)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


class WrongValue(Exception):
    """A value that does not fit; `right` says what would."""

    def __init__(self, right: str) -> None:
        self.right = right
        super().__init__(right)


def typed(raw: Raw, operator: Operator, kind: FieldType) -> Value:
    """Return a value as what it is compared with; WrongValue when it does not fit.

    Numbers are exact: for points, money, rate and integer an int in units of the type's last place (12.5 points
    are 1250), for JSON a Decimal. A day is a `date` in the definition's zone, an instant a `datetime` in UTC.
    """
    if operator.takes in ("days", "count"):
        return _whole(raw, "days" if operator.takes == "days" else "elements")
    if operator.takes == "instant" or kind in (FieldType.INSTANT, FieldType.DATE):
        return _time(raw, kind)
    if kind in NUMBERS:
        return _units(raw, kind)
    if kind in TEXTS or (operator.word in ("starts_with", "ends_with")):
        return _text(raw)
    if kind is FieldType.BOOLEAN:
        if not isinstance(raw, bool):
            raise WrongValue("must be true or false")
        return raw
    return _of_json(raw, number=operator.takes == "number")


def exact(raw: Raw) -> Decimal | None:
    """Return a number exactly as it was written, None for what is none.

    A number with a point went through a float on its way: 15 digits are safe, more must come as text.
    """
    if isinstance(raw, bool) or (isinstance(raw, str) and not _NUMBER.fullmatch(raw)):
        return None
    if isinstance(raw, float) and not math.isfinite(raw):
        return None
    number = Decimal(repr(raw) if isinstance(raw, float) else raw)
    if isinstance(raw, float) and len(number.as_tuple().digits) > 15:
        raise WrongValue("has more digits than a number here keeps; write it in quotes")
    return number


def day(text: str) -> date | None:
    """Return the day that an ISO 8601 date names, None for anything else."""
    try:
        found = date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        return None
    return found if found and FIRST_YEAR <= found.year <= LAST_YEAR else None


def instant(text: str) -> datetime | None:
    """Return the instant (UTC) that ISO 8601 text with a zone names, None for anything else."""
    try:
        found = datetime.fromisoformat(text) if len(text) > 10 else None
    except ValueError:
        return None
    if found is None or found.tzinfo is None or not FIRST_YEAR <= found.year <= LAST_YEAR:
        return None
    return found.astimezone(UTC)


def _whole(raw: Raw, what: str) -> int:
    number = exact(raw)
    if number is None or number != int(number) or not 0 <= number <= MOST_DAYS:
        raise WrongValue(f"must be a whole number of {what} from 0 to {MOST_DAYS}")
    return int(number)


def _time(raw: Raw, kind: FieldType) -> date | datetime:
    found = (day(raw) or instant(raw)) if isinstance(raw, str) else None
    if isinstance(found, datetime) and kind is FieldType.DATE:
        found = None
    if found is None:
        also = "" if kind is FieldType.DATE else ", or an instant with its zone such as 2026-01-31T09:00:00Z"
        raise WrongValue(f"must be a day such as 2026-01-31{also}, from {FIRST_YEAR} to {LAST_YEAR}")
    return found


def _units(raw: Raw, kind: FieldType) -> int:
    places = PLACES.get(kind, 0)
    number = exact(raw)
    if number is None:
        example = "12.5" if places else "12"
        raise WrongValue(f"must be a number such as {example}")
    units: Fraction = Fraction(number) * 10**places  # exact, whatever the number of digits
    if units.denominator != 1:
        raise WrongValue(f"must be a number with at most {places} decimals" if places else "must be whole")
    if abs(units) > _LARGEST.get(kind, _EIGHTEEN_DIGITS):
        raise WrongValue(f"is larger than any {kind.value} can be")
    return units.numerator


def _text(raw: Raw) -> str:
    if not isinstance(raw, str):
        shown = str(raw).lower() if isinstance(raw, bool) else raw
        raise WrongValue(f'must be text: write it in quotes, "{shown}"')
    return raw


def _of_json(raw: Raw, *, number: bool) -> Value:
    if isinstance(raw, bool) or (isinstance(raw, str) and not number):
        if number:
            raise WrongValue("must be a number such as 12.5")
        return raw
    value = exact(raw)
    if value is None:
        raise WrongValue("must be a number such as 12.5")
    return value
