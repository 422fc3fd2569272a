"""Points expiration: every lot as of T, with what is left of it and when that expires."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from include.ledger.catalog import BOOKING_COLUMNS
from include.ledger.columns import Column
from include.reports import glossary, loyalty_cards, programs
from include.reports.engine import owners
from include.reports.engine.files import Spool
from include.reports.engine.joins import chosen
from include.reports.engine.kept import Kept
from include.reports.engine.replay import BookedPartition, Ints, instants
from include.reports.model import SLICE_ROWS, Asked, Cut, LocalSnapshot, Needs, Period, Report, arrow_schema

KIND = "points_expiration"
TITLE = "Points expiration"
PERIOD: Period = "none"

_COLUMNS = glossary.columns(
    KIND,
    (
        "id",
        "campaign_id",
        "voucher_id",
        "status",
        "expires_at",
        "points",
        "points_issued",
        "program_id",
        "subledger_id",
        "holder_kind",
        "holder_id",
        "customer_id",
    ),
)
_STATUS = pa.array(["INACTIVE", "ACTIVE"])
_HOLDERS = pa.array(["customer", "card"])


class Options(BaseModel):
    """`open_only` keeps lots of which something is left; `programs` keeps only these."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    open_only: bool = False
    programs: tuple[str, ...] = ()


def needs(options: Options) -> Needs:  # noqa: ARG001
    """Return the relations and columns that the model reads where the ledger has them."""
    return {
        "transactions": (*BOOKING_COLUMNS, "campaign_id"),
        "programs": programs.COLUMNS,
        "cards": owners.NEEDS["cards"],
        **loyalty_cards.NEEDS,
    }


def columns(options: Options) -> tuple[Column, ...]:  # noqa: ARG001
    """Return the output columns in order."""
    return _COLUMNS


def of_accounts(options: Options) -> bool:  # noqa: ARG001
    """Return whether each row is of one account, in the order of accounts."""
    return True


def report(asked: Asked, snapshot: LocalSnapshot, scratch: Path) -> Report:
    """Return the lots at `as_of`; raise BadInput for a program that the ledger does not have."""
    assert isinstance(asked.options, Options)
    programs.check(snapshot, KIND, asked.options.programs)
    return _PointsExpiration(asked, asked.options, snapshot, scratch)


class _PointsExpiration:
    def __init__(self, asked: Asked, options: Options, snapshot: LocalSnapshot, scratch: Path) -> None:
        self.cuts: tuple[Cut, ...] = (asked.cut,)
        self._options = options
        self._snapshot = snapshot
        self._scratch = scratch
        self._lots = Spool(scratch / "lots.arrow")
        self.kept: tuple[Kept, ...] = (self._lots,)

    def on_partition(self, cut_index: int, partition: BookedPartition) -> Iterable[pa.RecordBatch]:  # noqa: ARG002
        kept = programs.mask(partition.accounts, self._options.programs)
        for begin in range(0, len(partition.rows), SLICE_ROWS):
            row = np.arange(begin, min(begin + SLICE_ROWS, len(partition.rows)))
            is_lot = (partition.rows.points[row] > 0) & kept[partition.row_account[row]]
            if self._options.open_only:
                is_lot &= partition.booked.left[row] > 0
            self._lots.write(_slice(partition, row[is_lot]))
        return ()

    def finish(self) -> Iterator[pa.RecordBatch]:
        rows = loyalty_cards.with_vouchers(self._lots.batches(), self._snapshot, self._scratch)
        rows = owners.with_owners(rows, self._snapshot, self._scratch)
        return chosen(rows, arrow_schema(_COLUMNS))


def _slice(partition: BookedPartition, lots: Ints) -> pa.RecordBatch:
    rows, left = partition.rows, partition.booked.left[lots]
    texts = {
        name: partition.text(name, lots)
        for name in ("program_id", "subledger_id", "customer_id", "card_id", "campaign_id")
    }
    is_card = texts["card_id"].is_valid()
    figures = {
        "id": partition.text("transaction_id", lots),
        "status": _STATUS.take(pa.array((left > 0).astype(np.int8))),
        "expires_at": instants(rows.expires_at[lots]),
        "points": pa.array(left),
        "points_issued": pa.array(rows.points[lots]),
        "holder_kind": _HOLDERS.take(is_card.cast(pa.int8())),
        "holder_id": pc.coalesce(texts["card_id"], texts["customer_id"]),
        # A card's rows name whoever used it; the owner stands in `cards`.
        "customer_id": pc.if_else(is_card, None, texts["customer_id"]),
    }
    return pa.RecordBatch.from_pydict(texts | figures)
