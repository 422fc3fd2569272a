"""Of the rows of a report, those that a page shows: found in scratch, so that memory does not follow their number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from include.ledger.rows import NEVER
from include.reports.engine.files import Spool

ENTRIES_PER_PAGE = 50
MOST_TRACED = 2_000  # allocations of what one page shows
Row = dict[str, Any]
Rows = list[Row]


@dataclass(frozen=True)
class Filter:
    """Which transactions are shown; empty: all. `[since, before)` in microseconds.

    text: a part of reason, transaction, order, reward, campaign or card, in any case.
    """

    program: str = ""
    subledger: str | None = None
    types: tuple[str, ...] = ()
    since: int | None = None
    before: int | None = None
    text: str = ""
    page: int = 1


@dataclass(frozen=True)
class Found:
    """The rows that are shown, and how many there are."""

    rows: Rows
    total: int


def entries(spool: Spool, shown: Filter) -> Found:
    """Return a page of the history's entries that fulfil the filter, the newest first, and how many there are."""
    moments, places, done = [], [], 0
    for batch in spool.batches():
        kept = np.flatnonzero(_fulfils(batch, shown))
        moments.append(_micros(batch, "created_at")[kept])
        places.append(kept + done)
        done += len(batch)
    moment, place = _joined(moments), _joined(places)
    # Of one instant what the report has last is the newest.
    order = np.lexsort((-place, -moment))
    first = (max(shown.page, 1) - 1) * ENTRIES_PER_PAGE
    return Found(taken(spool, place[order[first : first + ENTRIES_PER_PAGE]]), len(place))


def _fulfils(batch: pa.RecordBatch, shown: Filter) -> np.ndarray[Any, np.dtype[np.bool_]]:
    mask = np.ones(len(batch), np.bool_)
    if shown.program:
        mask &= _flags(pc.equal(batch.column("program_id"), shown.program))
    if shown.subledger is not None:
        mask &= _flags(pc.equal(batch.column("subledger_id"), shown.subledger))
    if shown.types:
        mask &= _flags(pc.is_in(batch.column("type"), value_set=pa.array(shown.types)))
    created = _micros(batch, "created_at")
    if shown.since is not None:
        mask &= created >= shown.since
    if shown.before is not None:
        mask &= created < shown.before
    if shown.text:
        found = np.zeros(len(batch), np.bool_)
        for name in (
            "reason",
            "transaction_id",
            "order_id",
            "reward_id",
            "campaign_id",
            "card_id",
            "rule_name",
        ):
            found |= _flags(pc.match_substring(batch.column(name), shown.text, ignore_case=True))
        mask &= found
    return mask


def _flags(array: pa.Array) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return np.asarray(pc.fill_null(array, False).to_numpy(zero_copy_only=False), np.bool_)


def _micros(batch: pa.RecordBatch, name: str) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.asarray(pc.fill_null(batch.column(name).cast(pa.int64()), NEVER).to_numpy(), np.int64)


def _joined(arrays: Sequence[Any]) -> Any:
    return np.concatenate(arrays) if arrays else np.empty(0, np.int64)


def lots_in_order(spool: Spool) -> tuple[Any, int]:
    """Return the places of lots, open ones first and what expires next before, then closed ones, the newest first."""
    parts = []
    for batch in spool.batches():
        is_open = np.asarray(batch.column("remaining").to_numpy()) > 0
        expires, issued = _micros(batch, "expires_at"), _micros(batch, "issued_at")
        parts.append((~is_open, np.where(is_open, expires, -issued), _micros(batch, "activates_at"), is_open))
    if not parts:
        return np.empty(0, np.int64), 0
    closed, first, second, is_open = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return np.lexsort((second, first, closed)), int(is_open.sum())


def taken(spool: Spool, places: Any) -> Rows:
    """Return the rows at these places of a spool, in their order."""
    if not len(places):
        return []
    order = np.argsort(places, kind="stable")
    wanted = np.asarray(places)[order]
    found, done = [], 0
    for batch in spool.batches():
        first, last = np.searchsorted(wanted, (done, done + len(batch)))
        if last > first:
            found.append(batch.take(pa.array(wanted[first:last] - done)))
        done += len(batch)
    rows = pa.Table.from_batches(found).to_pylist()
    result: Rows = [{}] * len(rows)
    for row, place in zip(rows, order.tolist(), strict=True):
        result[place] = row
    return result


def traced(spool: Spool, ids: set[str]) -> Rows:
    """Return the allocations of these debits and lots, in the order of the report, at most one more than is shown."""
    wanted = pa.array(sorted(ids), pa.string())
    found: Rows = []
    for batch in spool.batches():
        of = pc.or_(
            pc.is_in(batch.column("debit_id"), value_set=wanted),
            pc.is_in(batch.column("lot_id"), value_set=wanted),
        )
        found += batch.filter(of).slice(0, MOST_TRACED + 1 - len(found)).to_pylist()
        if len(found) > MOST_TRACED:
            break
    return found


def newest(spool: Spool | None, moment: str) -> Found:
    """Return the last rows by an instant of theirs; None stands for no rows."""
    if spool is None or not spool.rows:
        return Found([], 0)
    moments = _joined([_micros(batch, moment) for batch in spool.batches()])
    return Found(taken(spool, np.argsort(-moments, kind="stable")[:ENTRIES_PER_PAGE]), spool.rows)
