"""Statements about some rows of a relation: values are bound, and a statement that was made once is kept.

A look at one customer asks the same few again and again; to make them takes longer than what they find.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import sqlalchemy as sa

from include.snapshots.dialects import Dialect
from include.snapshots.reading import Origin, Which

_FEW = 8  # values; of more there are too many different statements to keep


class _Asked(NamedTuple):
    """What makes one statement another than the next."""

    relation: str
    columns: tuple[str, ...]
    column: str
    fit: str
    values: int
    limit: int | None


class SqlSome:
    """The statements of one read. escaped: gives SQL in which a colon is a colon, not a parameter."""

    def __init__(self, dialect: Dialect, escaped: Callable[[str], str]) -> None:
        self._dialect, self._escaped = dialect, escaped
        self._made: dict[_Asked, sa.TextClause] = {}

    def asking(
        self, origin: Origin, columns: Sequence[str], which: Which
    ) -> tuple[tuple[str, ...], sa.TextClause, dict[str, str]]:
        """Return the columns that are there, the statement that reads them of some rows, and its values."""
        present = tuple(name for name in columns if name in origin.expressions)
        values = {f"wanted_{number}": value for number, value in enumerate(which.bound)}
        key = _Asked(origin.relation.name, present, which.column, which.fit, len(values), which.limit)
        made = self._made.get(key)
        if made is None:
            made = self._statement(origin, key, list(values))
        if len(values) <= _FEW:
            self._made[key] = made
        return present, made, values

    def forget(self) -> None:
        """Forget the statements, which may not hold any more."""
        self._made.clear()

    def _statement(self, origin: Origin, asked: _Asked, names: Sequence[str]) -> sa.TextClause:
        places = [f":{name}" for name in names]
        of = origin.expressions[asked.column]
        condition = {
            "is": f"{of} IN ({', '.join(places)})",
            "begins": f"{of} BETWEEN {places[0]} AND {places[-1]}",
            "folded": f"LOWER({of}) IN ({', '.join(places)})",
            "contains": self._dialect.contains.format(of=f"LOWER({of})", value=places[0]),
        }[asked.fit]
        listed = ", ".join(origin.expressions[name] for name in asked.columns)
        top = f"TOP {asked.limit} " if self._dialect.top and asked.limit is not None else ""
        limit = f" LIMIT {asked.limit}" if not top and asked.limit is not None else ""
        sql = self._escaped(f"SELECT {top}{listed} FROM {origin.clause} WHERE ")
        bound = [sa.bindparam(name, type_=sa.String()) for name in names]
        return sa.text(f"{sql}{condition}{limit}").bindparams(*bound)
