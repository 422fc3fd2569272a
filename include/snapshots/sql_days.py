"""Control totals by day from SQLite, MySQL and MariaDB, and the condition that reads some days again.

MySQL hashes in SQL (MD5, of which 64 bits are summed). SQLite has no hash function, so it calls one of ours for each
row. Other databases give no totals: their relations are read whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from include.snapshots.days import (
    DAY_MICROSECONDS,
    EPOCH,
    MODULUS,
    NO_DAY,
    Days,
    DayTotal,
    DayTotals,
    can_be_written,
    formula,
    instant,
    proven,
    told_by,
)
from include.snapshots.reading import Origin

_OWN = "loyalty_total"


class SqlDays:
    """The days of a relation in a database of one of the dialects.

    by: the instant whose day it is, where it is not that of recording. scaled: instants are integers of microseconds,
    and points hundredths (canonical tables on SQLite).
    """

    def __init__(
        self, origin: Origin, columns: Sequence[str], dialect: str, by: str | None = None, *, scaled: bool
    ) -> None:
        self._origin, self._dialect, self._scaled = origin, dialect, scaled
        self._columns = tuple(name for name in columns if name in origin.expressions)
        names = (by,) if by else told_by(origin.relation, self._columns)
        told = [origin.expressions[name] for name in names]
        self._known = told[0] if len(told) == 1 else f"COALESCE({', '.join(told)})"
        self.can = bool(told) and dialect in {"sqlite", "mysql"}

    def totals(self, connection: Connection, some: Days | None = None) -> DayTotals | None:
        """Return the totals of some days, or all; None where they cannot be had. Raises DBAPIError."""
        if not self.can:
            return None
        name = formula(self._dialect, self._columns, self._query())
        if self._dialect == "sqlite":
            driver: Any = connection.connection.dbapi_connection
            driver.create_aggregate(_OWN, -1, _Total)
        query = self._query(f" WHERE {self.condition(some)}" if some else "")
        rows = connection.execute(sa.text(query.replace(":", r"\:"))).all()
        days: dict[int, DayTotal] = {}
        moments: dict[int, tuple[int, int]] = {}
        for day, count, counted, first, last in rows:
            total = self._total(count, counted)
            if total is None:
                return None
            key = NO_DAY if day is None else int(day)
            days[key] = total
            if first is not None:
                moments[key] = _microseconds(first), _microseconds(last)
        return DayTotals(name, days, moments) if can_be_written(days) else None

    def condition(self, days: Days) -> str:
        """Return the SQL condition of the rows of some days."""
        tests = [self._between(low, high) for low, high in days.ranges]
        if days.no_day:
            tests.append(f"{self._known} IS NULL")
        found = f"({' OR '.join(tests)})"
        if days.moments is not None and self._known != (moment := self._origin.expressions[self._moment]):
            # For the index that is on the moment.
            low, high = map(self._literal, days.moments)
            found += f" AND {moment} >= {low} AND {moment} <= {high}"
        return found

    @property
    def _moment(self) -> str:
        assert self._origin.relation.moment is not None
        return self._origin.relation.moment

    def _query(self, where: str = "") -> str:
        moment = self._origin.expressions[self._moment]
        # A mapped instant of SQLite may be text, whose order is not that of time.
        plain = self._dialect != "sqlite" or self._scaled
        bounds = f"MIN({moment}), MAX({moment})" if plain else "NULL, NULL"
        clause = self._origin.clause
        return f"SELECT {self._day}, COUNT(*), {self._counted}, {bounds} FROM {clause}{where} GROUP BY 1"

    @property
    def _day(self) -> str:
        known = self._known
        if self._dialect == "mysql":
            return f"DATEDIFF({known}, '1970-01-01')"
        if self._scaled:
            start = f"({known} - (({known} % {DAY_MICROSECONDS}) + {DAY_MICROSECONDS}) % {DAY_MICROSECONDS})"
            return f"{start} / {DAY_MICROSECONDS}"
        return f"CAST(strftime('%s', date({known})) AS INTEGER) / 86400"

    @property
    def _counted(self) -> str:
        """What points and content add up to, as one value."""
        points = self._origin.expressions["points"] if self._has_points else "0"
        names = [self._origin.expressions[name] for name in proven(self._origin.relation, self._columns)]
        if self._dialect == "sqlite":
            return f"{_OWN}({', '.join([points, *names])})"
        texts = [f"COALESCE(CAST({name} AS CHAR), '\\\\N')" for name in names]
        digits = f"LEFT(MD5(CONCAT_WS('\\n', {', '.join(texts)})), 16)"
        content = f"SUM(CAST(CONV({digits}, 16, 10) AS UNSIGNED))"
        return f"CONCAT(COALESCE(SUM({points}), 0), ' ', {content})"

    @property
    def _has_points(self) -> bool:
        return self._origin.relation.name == "transactions" and "points" in self._columns

    def _total(self, rows: int, counted: str) -> DayTotal | None:
        points, content = counted.split()
        try:
            hundredths = Decimal(points) if self._scaled or not self._has_points else Decimal(points) * 100
        except InvalidOperation:
            return None
        if not hundredths.is_finite() or hundredths != int(hundredths):
            return None
        return DayTotal(int(rows), int(hundredths), int(content) % MODULUS)

    def _between(self, low: int, high: int) -> str:
        if self._dialect == "sqlite" and not self._scaled:
            return f"({self._day} >= {low} AND {self._day} < {high})"
        ends = [self._literal(day * DAY_MICROSECONDS) for day in (low, high)]
        return f"({self._known} >= {ends[0]} AND {self._known} < {ends[1]})"

    def _literal(self, microseconds: int) -> str:
        return str(microseconds) if self._scaled else f"'{instant(microseconds).replace(tzinfo=None)}'"


class _Total:
    """SQLite's aggregate: exact points, and the hashes of the values of each row."""

    def __init__(self) -> None:
        self._points: int | Decimal | None = 0
        self._content = 0

    def step(self, points: object, *values: object) -> None:
        """Add a row."""
        if isinstance(points, int) and self._points is not None:
            self._points += points
        elif points is not None and self._points is not None:
            try:
                self._points += Decimal(str(points))
            except InvalidOperation:
                self._points = None
        digest = hashlib.blake2b(repr(values).encode("utf-8", "surrogatepass"), digest_size=8).digest()
        self._content += int.from_bytes(digest)

    def finalize(self) -> str:
        """Return both sums."""
        return f"{'?' if self._points is None else self._points} {self._content}"


def _microseconds(value: Any) -> int:
    if isinstance(value, int):
        return value
    aware = value if value.tzinfo else value.replace(tzinfo=EPOCH.tzinfo)
    return int((aware - EPOCH) // timedelta(microseconds=1))
