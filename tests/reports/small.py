"""Small ledgers as snapshots on disk, and reports rendered from them as plain rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from include.ledger.catalog import RELATIONS, arrow_schema
from include.reports import model
from include.reports.engine.notes import Notes
from include.reports.engine.render import Job, render
from include.reports.model import Asked, LocalSnapshot
from tests.ledger.ledger_text import day, ledger

FAR = day("12-31") * 2


def snapshot(folder: Path, relations: Mapping[str, Iterable[Mapping[str, Any]]]) -> LocalSnapshot:
    """A snapshot of exactly these relations; fields that a row leaves out are null."""
    files: dict[str, list[Path]] = {}
    for name, rows in relations.items():
        files[name] = [folder / f"{name}.parquet"]
        pq.write_table(pa.Table.from_pylist(list(rows), schema=arrow_schema(RELATIONS[name])), files[name][0])
    return LocalSnapshot(files, {name: RELATIONS[name].names for name in relations})


def of_text(text: str, **columns: str) -> list[dict[str, Any]]:
    """Transactions of program p, written as in tests/ledger: an account `card:c` is a card, any other a customer."""
    rows = []
    for posted in ledger(text):
        is_card = posted.account.startswith("card:")
        rows.append(
            {
                "transaction_id": posted.id,
                "program_id": "p",
                "customer_id": "nobody" if is_card else posted.account,
                "card_id": posted.account if is_card else None,
                "type": posted.type,
                "points": posted.points,
                "created_at": posted.created_at,
                "activates_at": posted.activates_at,
                "expires_at": posted.expires_at,
                "related_transaction_id": posted.related,
                **columns,
            }
        )
    return rows


def taken(folder: Path, text: str, **relations: list[dict[str, Any]]) -> LocalSnapshot:
    """The snapshot of a ledger written as text, beside any other relations."""
    return snapshot(folder, {"transactions": of_text(text), **relations})


def asked(
    module: ModuleType,
    as_of: int,
    *,
    start: int | None = None,
    known_at: int = FAR,
    timezone: str = "UTC",
    wanted: frozenset[str] | None = None,
    **options: Any,
) -> Asked:
    end = None if start is None else as_of
    return Asked(start, end, as_of, known_at, module.Options(**options), timezone, wanted)


def table(
    module: ModuleType,
    of: LocalSnapshot,
    scratch: Path,
    as_of: int,
    *,
    partitions: int | None = None,
    row_limit: int = 300_000,
    notes: Notes | None = None,
    **more: Any,
) -> pa.Table:
    """What a report gives, as one table."""
    question = asked(module, as_of, **more)
    schema = [column.name for column in module.columns(question.options)]
    job = Job(module, question, list)
    (batches,) = render([job], of, scratch, partitions=partitions, row_limit=row_limit, notes=notes)
    if not batches:
        return pa.table({name: [] for name in schema})
    assert batches[0].schema.names == schema
    plain = model.arrow_schema(module.columns(question.options))  # dictionaries are how, not what
    return pa.Table.from_batches(batches).cast(plain).combine_chunks()


def rows(
    module: ModuleType, of: LocalSnapshot, scratch: Path, as_of: int, **more: Any
) -> list[dict[str, Any]]:
    """What a report gives, row by row; points in hundredths."""
    found: list[dict[str, Any]] = table(module, of, scratch, as_of, **more).to_pylist()
    return found
