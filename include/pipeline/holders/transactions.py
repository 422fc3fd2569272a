"""The transactions of one holder in one program, as the ledger has them, a page at a time, the newest first.

A customer's own alone: cards are holders of their own. Posted expiries are left out: they are no movements that
somebody made, and systems that list transactions work them out.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from include.connections import Secrets
from include.ledger.catalog import FieldType
from include.ledger.columns import Column
from include.ledger.people import Name
from include.pipeline import process
from include.pipeline.context import Context, Progress, silent
from include.pipeline.customers.look import READ_SECONDS, ROWS_IN_PLACE, is_id, opened
from include.pipeline.customers.picked import taken as rows_at
from include.pipeline.holders.reports import FOLDER
from include.pipeline.privacy import erasure_key
from include.reports.engine import files
from include.reports.engine.files import Spool
from include.scratch import working_folder
from include.settings import Settings
from include.shaping import paths
from include.snapshots.excerpt import Excerpt, Holder, TooLong
from include.state.audit import Action
from include.state.looked import Person
from include.state.tables import instant, microseconds

COLUMNS = (
    "transaction_id", "program_id", "subledger_id", "customer_id", "card_id", "type", "points", "created_at",
    "activates_at", "expires_at", "reason", "source", "admin_user", "import_id", "rule_name", "details",
)  # fmt: skip
How = Literal["manual", "session", "import"]
Row = dict[str, Any]
# The namespace of UUIDs that are made of ids.
_SPACE = uuid.UUID("7d5cf2b8-59a7-5dd5-8c0e-3f0f4bb1f5a1")
_BATCH_ROWS = 32_768
_NEEDS = {"transactions": COLUMNS, "cards": ("card_id", "program_id")}
_APART = "include.pipeline.holders.transactions:listed_apart"
_DETAILS = (Column("details", FieldType.JSON),)


@dataclass(frozen=True)
class Which:
    """Which transactions of a program: `[since, before)`, those of some subledgers and ways (empty, None: all).

    how: import: they came by an import; manual: somebody made them; session: all others. sessions: those whose details
    name one of these. uuids: those of these UUIDs (`uuid_of`). The page: `count` of them after the first `skip`.
    """

    program_id: str
    subledgers: tuple[str, ...] = ()
    how: How | None = None
    since: datetime | None = None
    before: datetime | None = None
    sessions: tuple[str, ...] = ()
    uuids: tuple[str, ...] = ()
    skip: int = 0
    count: int = 50


@dataclass(frozen=True)
class Listed:
    """A page of transactions: their rows (points are hundredths), and whether there are others after it."""

    read_at: datetime
    more: bool
    rows: list[Row] = field(default_factory=list)


def transactions(context: Context, holder: Holder, which: Which, *, by: str) -> Listed | None:
    """Return a page of a holder's transactions, and tell the audit chain who looked; None for whom nobody knows.

    A card is known where it is of the program, or has transactions in it. Raises Transient when the
    database cannot be reached or takes too long, BadInput when its tables are wrong.
    """
    if not is_id(holder.id):
        return None
    secrets = erasure_key(context)
    try:
        found = _listed(context, holder, which, secrets, most_rows=ROWS_IN_PLACE)
    except TooLong:
        found = process.in_process(_APART, context.settings, holder, which, secrets, progress=silent)
    if found is not None:
        detail = {"as_of": found.read_at, "program": which.program_id}
        context.state.looked.note(by, Action.CUSTOMER_SEEN, Person(holder.kind, holder.id), detail)
    return found


def listed_apart(
    settings: Settings,
    holder: Holder,
    which: Which,
    secrets: Secrets,
    *,
    progress: Progress,  # noqa: ARG001
) -> Listed | None:
    """Find the page of a holder of many rows, in a process of its own. secrets: with the key of erased people."""
    return _listed(Context(settings), holder, which, secrets)


def _listed(
    context: Context, holder: Holder, which: Which, secrets: Secrets, *, most_rows: int | None = None
) -> Listed | None:
    with working_folder(context.settings.scratch, FOLDER) as folder:
        with opened(context, READ_SECONDS, secrets) as ledger:
            taken = ledger.excerpt(holder, _NEEDS, folder, most_rows=most_rows)
        return None if taken is None else _page(taken, which, folder)


def _page(taken: Excerpt, which: Which, folder: Path) -> Listed | None:
    """Return the page of an excerpt; None for a card that the program does not know."""
    spool = Spool(folder / "transactions.arrow")
    keys: list[pa.RecordBatch] = []
    of_program = 0
    for batch in _own(taken):
        mine = batch.filter(pc.equal(batch.column("program_id"), which.program_id))
        of_program += len(mine)
        kept = mine.filter(_fulfils(mine, which))
        if len(kept):
            spool.write(kept)
            keys.append(kept.select(["created_at", "transaction_id"]))
    if taken.holder.kind is Name.CARD and not of_program and not _is_of(taken, which.program_id):
        return None
    places = _newest(keys)[which.skip : which.skip + which.count + 1]
    rows = rows_at(spool, places[: which.count])
    return Listed(instant(taken.read_at), len(places) > which.count, rows)


def _fulfils(rows: pa.RecordBatch, which: Which) -> pa.Array:
    """Return which rows of `COLUMNS` are asked for."""
    kept = pc.not_equal(rows.column("type"), "expired")
    if which.subledgers:
        subledger = pc.coalesce(rows.column("subledger_id"), "")
        kept = pc.and_(kept, pc.is_in(subledger, value_set=pa.array(which.subledgers, pa.string())))
    created = rows.column("created_at")
    if which.since is not None:
        kept = pc.and_(kept, pc.greater_equal(created, _moment(which.since)))
    if which.before is not None:
        kept = pc.and_(kept, pc.less(created, _moment(which.before)))
    if which.how is not None:
        kept = pc.and_(kept, pc.equal(_ways(rows), which.how))
    if which.sessions:
        named = paths.value(rows, _DETAILS, "details.customersessionid")
        found = pc.is_in(named, value_set=pa.array(which.sessions, pa.string()))
        kept = pc.and_(kept, pc.fill_null(found, False))
    if which.uuids:
        pairs = zip(
            rows.column("transaction_id").to_pylist(), rows.column("details").to_pylist(), strict=True
        )
        found = pa.array([uuid_of(name, properties(text)) in which.uuids for name, text in pairs], pa.bool_())
        kept = pc.and_(kept, found)
    return kept


def uuid_of(name: str, details: Mapping[str, Any]) -> str:
    """Return a transaction's UUID: what its details say, its id where that is one, else one that is made of the id."""
    for text in (details.get("transactionUUID"), name):
        try:
            return str(uuid.UUID(str(text)))
        except ValueError:
            continue
    return str(uuid.uuid5(_SPACE, name))


def properties(text: str | None) -> dict[str, Any]:
    """Return the properties of `details`; none of what is no object."""
    try:
        found = json.loads(text) if text else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _ways(rows: pa.RecordBatch) -> pa.Array:
    """Return how each row came: import, manual (no rule names it, and a person made it) or session."""
    came = pc.fill_null(pc.equal(rows.column("source"), "import"), False)
    imported = pc.or_(came, _named(rows, "import_id"))
    by_hand = pc.or_(
        _named(rows, "admin_user"), pc.fill_null(pc.equal(rows.column("source"), "web-ui"), False)
    )
    manual = pc.and_(by_hand, pc.invert(_named(rows, "rule_name")))
    return pc.if_else(imported, "import", pc.if_else(manual, "manual", "session"))


def _named(rows: pa.RecordBatch, column: str) -> pa.Array:
    return pc.greater(pc.fill_null(pc.binary_length(rows.column(column)), 0), 0)


def _own(taken: Excerpt) -> Iterator[pa.RecordBatch]:
    """Yield the holder's own rows: of a customer, none that was booked on a card."""
    paths_of = taken.snapshot.files["transactions"]
    for batch in files.batches("transactions", paths_of, COLUMNS, batch_rows=_BATCH_ROWS):
        of_customer = taken.holder.kind is Name.CUSTOMER
        yield batch.filter(pc.invert(_named(batch, "card_id"))) if of_customer else batch


def _is_of(taken: Excerpt, program_id: str) -> bool:
    read = files.batches("cards", taken.snapshot.files.get("cards", ()), ("program_id",), batch_rows=1_000)
    return any(name in {None, "", program_id} for batch in read for name in batch.column(0).to_pylist())


def _newest(keys: list[pa.RecordBatch]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the places of rows, the newest first, of one instant the greatest id first."""
    if not keys:
        return np.empty(0, np.int64)
    table = pa.Table.from_batches(keys)
    order = [("created_at", "descending"), ("transaction_id", "descending")]
    return np.asarray(pc.sort_indices(table, sort_keys=order).to_numpy(), np.int64)


def _moment(moment: datetime) -> pa.Scalar:
    return pa.scalar(microseconds(moment), pa.int64()).cast(pa.timestamp("us", tz="UTC"))
