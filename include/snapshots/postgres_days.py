"""Control totals by day from PostgreSQL, and the condition that reads some days again.

One pass over the relation, by several workers where the server has them: its own hash functions, seeded one with the
other, over the values that are read. What they give is compared with what the same server gave before, and with
nothing else. PostgreSQL 14 and later.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import psycopg

from include.snapshots.copy_decode import Wire, WireColumn
from include.snapshots.days import (
    MODULUS,
    NO_DAY,
    Days,
    DayTotal,
    DayTotals,
    can_be_written,
    formula,
    instant,
    midnight,
    proven,
    told_by,
)
from include.snapshots.reading import Origin

_LEAST_VERSION = 14_00_00
# What the server says to a query that it does not understand, or whose values no total can hold.
_CANNOT = (psycopg.errors.SyntaxErrorOrAccessRuleViolation, psycopg.errors.DataError)
_NULL = "E'\\x01'"
_ORIGIN = "TIMESTAMPTZ '1970-01-01 00:00:00+00'"
_WHERE = "/* days */"
_PARALLEL = "max_parallel_workers_per_gather"


def totals(
    connection: psycopg.Connection, origin: Origin, wires: Mapping[str, WireColumn], days: Days | None = None
) -> DayTotals | None:
    """Return the totals of some days of a relation whose columns are sent like this; None where they cannot be had.

    Raises psycopg.Error for what ends the database transaction.
    """
    columns = tuple(wires)
    if connection.info.server_version < _LEAST_VERSION or not told_by(origin.relation, columns):
        return None
    sql = _query(origin, wires)
    where = f"WHERE {condition(origin, columns, days)}" if days else ""
    connection.execute("SAVEPOINT totals")
    try:
        [[usual]] = connection.execute(f"SELECT reset_val FROM pg_settings WHERE name = '{_PARALLEL}'")
        # Compiling the query in every worker takes longer than it saves.
        connection.execute(f"SET LOCAL jit = off; SET LOCAL {_PARALLEL} = {int(usual)}")
        rows = connection.execute(sql.replace(_WHERE, where)).fetchall()
    except _CANNOT:
        connection.execute("ROLLBACK TO SAVEPOINT totals")
        return None
    connection.execute(f"SET LOCAL {_PARALLEL} = 0")
    return _totals(rows, formula("postgres", connection.info.server_version // 10_000, columns, sql))


def condition(origin: Origin, columns: Sequence[str], days: Days, by: str | None = None) -> str:
    """Return the SQL condition of the rows of some days. by: see `Reading.stream_days`."""
    known = f'"{by}"' if by else _known(origin, columns)
    moment = f'"{origin.relation.moment}"'
    tests = [
        f"({known} >= {_instant(midnight(low))} AND {known} < {_instant(midnight(high))})"
        for low, high in days.ranges
    ]
    if days.no_day:
        tests.append(f"{known} IS NULL")
    found = f"({' OR '.join(tests)})"
    if days.moments is not None and known != moment:  # for the index that is on the moment
        low, high = map(instant, days.moments)
        found += f" AND {moment} >= {_instant(low)} AND {moment} <= {_instant(high)}"
    return found


def _query(origin: Origin, wires: Mapping[str, WireColumn]) -> str:
    relation, columns = origin.relation, tuple(wires)
    points = "0"
    if relation.name == "transactions" and "points" in wires:
        scale = " * 100" if wires["points"].wire is Wire.NUMERIC else ""
        points = f"sum({origin.expressions['points']}){scale}"
    moment = f'"{relation.moment}"'
    day = f"date_bin('1 day', {_known(origin, columns)}, {_ORIGIN})"
    hashed = {name: wires[name] for name in proven(relation, columns)}
    return f"""SELECT (extract(epoch FROM day) / 86400)::bigint, rows, points, content,
       (extract(epoch FROM first) * 1000000)::bigint, (extract(epoch FROM last) * 1000000)::bigint
FROM (SELECT {day} AS day, count(*) AS rows, {points} AS points, sum({_hash(origin, hashed)}) AS content,
             min({moment}) AS first, max({moment}) AS last
      FROM {origin.clause} {_WHERE} GROUP BY 1) AS by_day"""


def _hash(origin: Origin, wires: Mapping[str, WireColumn]) -> str:
    """Return the 64-bit hash of a row: of its instants, then seeded with that of its numbers, then of each text."""
    found = "0::bigint"
    for kind, typed in _arrays(origin, wires):
        found = f"hash_array_extended(ARRAY[{', '.join(typed)}]::{kind}[], {found})"
    for name, sent in wires.items():
        if sent.wire is Wire.TEXT:
            text = f'({origin.expressions[name]})::text COLLATE "C"'
            found = f"hashtextextended(coalesce({text}, {_NULL}), {found})"
    return found


def _arrays(origin: Origin, wires: Mapping[str, WireColumn]) -> Iterator[tuple[str, list[str]]]:
    """Yield (type, expressions) of what is hashed together."""
    kinds: dict[str, list[str]] = {}
    names = {
        Wire.INSTANT: "timestamptz",
        Wire.ENDLESS: "timestamptz",
        Wire.NUMERIC: "numeric",
        Wire.INTEGER: "bigint",
        Wire.DATE: "date",
    }
    for name, sent in wires.items():
        expression = origin.expressions[name]
        if sent.wire is Wire.BOOLEAN:
            kinds.setdefault("bigint", []).append(f"{expression}::int")
        elif sent.wire is not Wire.TEXT:
            kinds.setdefault(names[sent.wire], []).append(expression)
    yield from kinds.items()


def _known(origin: Origin, columns: Sequence[str]) -> str:
    names = [f'"{name}"' for name in told_by(origin.relation, columns) if name in origin.expressions]
    return names[0] if len(names) == 1 else f"coalesce({', '.join(names)})"


def _totals(rows: Sequence[tuple[Any, ...]], name: str) -> DayTotals | None:
    days: dict[int, DayTotal] = {}
    moments: dict[int, tuple[int, int]] = {}
    for day, count, points, content, first, last in rows:
        summed = Decimal(points or 0)
        if not summed.is_finite() or summed != int(summed):
            return None
        key = NO_DAY if day is None else int(day)
        days[key] = DayTotal(count, int(summed), int(content) % MODULUS)
        if first is not None:
            moments[key] = first, last
    return DayTotals(name, days, moments) if can_be_written(days) else None


def _instant(moment: Any) -> str:
    return f"TIMESTAMPTZ '{moment.isoformat()}'"
