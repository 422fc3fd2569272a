"""What a read of a ledger offers, whatever the database; `postgres` and `sql` are the two that there are."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from include.errors import BadInput, LedgerViolation, Permanent, Problem
from include.ledger.catalog import ARROW_TYPES, RELATIONS, Relation
from include.snapshots.days import Days, DayTotals


@dataclass(frozen=True)
class Which:
    """Some rows of a relation: those whose `column` fits one of `values`, at most `limit` of them.

    is: the same text. begins: begins with the first value, by its characters' numbers. folded, contains: is, or
    contains, the (first) value, whatever the case of letters, as the database sees cases.
    """

    column: str
    values: tuple[str, ...]
    fit: Literal["is", "begins", "folded", "contains"] = "is"
    limit: int | None = None

    @property
    def bound(self) -> tuple[str, ...]:
        """What is compared with the column, or with its lower case: the values; of `begins`, the two ends."""
        if self.fit == "begins":
            return self.values[0], self.values[0] + _LAST_CHARACTER
        return tuple(map(str.lower, self.values)) if self.fit in {"folded", "contains"} else self.values

    def exactly(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the rows that hold the same text: a database may think others are equal to it too."""
        if self.fit != "is":
            return batch
        same = pc.is_in(batch.column(self.column), value_set=pa.array(self.values, pa.string()))
        return batch if same.true_count == len(batch) else batch.filter(same)


class Reading(Protocol):
    """One read-only, repeatable-read database transaction on a ledger; one open stream at a time."""

    read_at: int
    """Microseconds UTC on the database's clock when the transaction began.

    Of a replica: up to when the primary's changes had arrived by then, on the primary's clock; 0 when it cannot tell.
    """

    is_replica: bool
    """Whether the database follows another one."""

    reads_days: bool
    """Whether `stream_days` is there."""

    relations: tuple[str, ...]
    """The relations that this ledger has, in the order of the catalog."""

    def has(self, relation: str) -> bool:
        """Whether the ledger has the relation."""

    def columns(self, relation: str) -> tuple[str, ...]:
        """Return the canonical columns that the relation really has; BadInput when it is missing."""

    def stream(
        self, relation: str, columns: Sequence[str], *, created_before: int | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows, canonical names and physical types, in bounded memory and the database's order.

        Missing optional columns come as nulls. created_before: only rows with created_at < it (microseconds).
        BadInput names a relation or column that is missing; LedgerViolation a value that blocks (rule 8).
        """

    def stream_some(self, relation: str, columns: Sequence[str], which: Which) -> Iterator[pa.RecordBatch]:
        """Yield like `stream`, only some rows: by an index of the database where it has one; values are bound.

        Nothing where the ledger lacks the column that tells them, which must be one of `columns`.
        """

    def day_totals(self, relation: str, columns: Sequence[str], days: Days | None = None) -> DayTotals | None:
        """Return the relation's control totals by day, of these columns, computed by the database in one pass.

        days: only of these. None where it cannot: the database, or the relation, which must have its moment among
        `columns`.
        """

    def stream_days(
        self, relation: str, columns: Sequence[str], days: Days, by: str | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield like `stream` the rows of some days; `columns` are those whose totals were asked for.

        by: the instant whose day it is, where it is not the day of recording.
        """

    def count(self, relation: str) -> int:
        """Return how many rows the relation has."""

    def stream_lenient(self, relation: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield like `stream` for the check: what is null or invalid comes as null instead of an error."""

    def rest(self) -> None:
        """End the database transaction, and keep the connection for `again`."""

    def again(self) -> None:
        """Begin another database transaction, of now, with what is known of the relations. Raises Transient."""

    def beside(self) -> AbstractContextManager[Reading | None]:
        """Give another reading of the same state of the ledger, for another thread; None where there is none.

        It is asked what this one may be asked. Raises what any read may.
        """

    def invalid(self, relation: str) -> Iterator[InvalidValue]:
        """Yield every value that `stream` would refuse for what it is (not for being null)."""

    def oldest_open_transaction(self) -> int | None:
        """Return when the oldest other database transaction that was open at the start began (microseconds).

        It is `read_at` when there was none; None when the source cannot tell.
        """


class InvalidValue(NamedTuple):
    """A value that the catalog's type cannot hold; `row_id` is its row's key, parts joined by '/'."""

    rule: str
    relation: str
    column: str
    row_id: str
    value: str


UPDATED_AT = "updated_at"
_NO_RIGHT = "no_right"
_LAST_CHARACTER = "\U0010ffff"
SENTENCES = {
    "too_many_decimals": "has more decimals than are kept",
    "instant_without_zone": "is an instant without a time zone",
    "not_an_instant": "is no instant (on SQLite text with a zone, such as 2026-01-31T12:00:00Z; "
    "in its canonical tables integer microseconds)",
    "not_a_number": "is no number that fits",
    "not_a_scaled_integer": "is not an integer count of the last decimal place",
    "not_an_integer": "is no 64-bit integer",
    "not_a_boolean": "is neither true nor false",
    "not_a_date": "is no date",
    "not_utf8": "is not UTF-8 text",
    "text_from_float": "is a floating-point number where text is needed",
}


@dataclass
class Origin:
    """Where a relation comes from: its FROM clause, and for each canonical column what to select."""

    relation: Relation
    clause: str
    mapped: bool
    expressions: dict[str, str] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()


def shape_problems(
    where: str,
    origins: Mapping[str, Origin],
    *,
    mapped: bool,
    trusted: frozenset[str] = frozenset(),
    unread: Collection[str] = (),
) -> list[Problem]:
    """Return what the ledger lacks, or has too much, against the catalog.

    trusted: relations that need `updated_at`. unread: relations that are there, and of which nothing is known.
    """
    problems = []
    place = f"{where}, query " if mapped else f"{where}, table "
    for relation in RELATIONS.values():
        origin = origins.get(relation.name)
        if origin is None:
            if relation.required and relation.name not in unread:
                right = "every ledger has this relation; map it, or make it with `loyalty ledger init`"
                problems.append(Problem(place + relation.name, "missing", right, "missing_relation"))
            continue
        for column in relation.fields:
            told = relation.name in trusted and column.name == UPDATED_AT
            if (column.required or told) and column.name not in origin.expressions:
                why = "trust_updated_at needs it" if told else "this column is required"
                right = f"{why} ({column.type}): {column.meaning}"
                at = f"{place}{relation.name}, column {column.name}"
                problems.append(Problem(at, "missing", right, "missing_column"))
        for name in origin.unknown if mapped else ():
            right = f"known columns of {relation.name} are {', '.join(relation.names)}"
            problems.append(Problem(place + relation.name, name, right, "unknown_column"))
    return problems


def no_right(place: str, denied: str, role: str) -> Problem:
    """Return the problem of a relation that the role may not read; `denied` is what the database says."""
    right = f"the role {role} needs SELECT on what this reads: GRANT SELECT ON ... TO {role}"
    return Problem(place, denied, right, _NO_RIGHT)


def refuse_all(problems: Sequence[Problem]) -> None:
    """Raise BadInput with all problems, if there are any; Permanent where rights are all that is missing."""
    if problems and all(problem.code == _NO_RIGHT for problem in problems):
        raise Permanent(str(BadInput(problems)))
    if problems:
        raise BadInput(problems)


def nulls_query(origin: Origin, quote: Mapping[str, str]) -> tuple[tuple[str, ...], str]:
    """Return the columns that may not be null, and a query whose one row says for each whether one is (1)."""
    names = tuple(x.name for x in origin.relation.fields if x.name in quote and not x.may_be_null)
    tests = ", ".join(f"MAX(CASE WHEN {quote[name]} IS NULL THEN 1 ELSE 0 END)" for name in names)
    return names, f"SELECT {tests} FROM {origin.clause}"


def null_problem(where: str, relation: str, column: str) -> Problem:
    """Return the problem of a null in a column that may not hold it."""
    at = f"{where}, query {relation}, column {column}"
    return Problem(at, "null", "this column may not be null", "null_key")


def resolve(origins: Mapping[str, Origin], where: str, relation: str, columns: Sequence[str]) -> Origin:
    """Return the origin of a relation; BadInput names it, and columns that the catalog does not know."""
    origin = origins.get(relation)
    if origin is None:
        known = ", ".join(origins)
        raise BadInput([Problem(where, relation, f"this ledger has {known}", "missing_relation")])
    unknown = [name for name in columns if name not in origin.relation.names]
    if unknown:
        right = f"columns of {relation} are {', '.join(origin.relation.names)}"
        raise BadInput([Problem(f"{where}, {relation}", name, right, "unknown_column") for name in unknown])
    return origin


def assemble(
    relation: Relation, columns: Sequence[str], arrays: Mapping[str, pa.Array], rows: int, *, strict: bool
) -> pa.RecordBatch:
    """Return one batch with all `columns`, nulls where a column is absent.

    strict: a null where the catalog allows none raises LedgerViolation.
    """
    chosen = [relation.field(name) for name in columns]
    data = [arrays[x.name] if x.name in arrays else pa.nulls(rows, ARROW_TYPES[x.type]) for x in chosen]
    if strict:
        for column, array in zip(chosen, data, strict=True):
            if array.null_count and not column.may_be_null:
                key = row_id(relation, arrays, pc.index(array.is_null(), True).as_py())
                message = f"{relation.name} {key}: {column.name} is null, which no row may hold"
                raise LedgerViolation(message + "; `loyalty ledger check` lists them all")
    return pa.RecordBatch.from_arrays(data, schema=pa.schema([(x.name, ARROW_TYPES[x.type]) for x in chosen]))


def row_id(relation: Relation, arrays: Mapping[str, pa.Array], row: int) -> str:
    """Return the key of a row, parts joined by '/'; '?' for a part that was not read."""
    parts = [str(arrays[name][row].as_py() or "") if name in arrays else "?" for name in relation.key]
    return "/".join(parts)


def refuse(value: InvalidValue) -> LedgerViolation:
    """Return the error for a value that stops a stream."""
    says = SENTENCES[value.rule]
    message = f"{value.relation} {value.row_id}: {value.column} {value.value[:80]!r} {says}"
    return LedgerViolation(message + "; `loyalty ledger check` lists them all")
