"""Redemptions: one row per `redeemed` transaction, with what it was exchanged for and what was given back.

docs/ledger.md section 7. `points_cost` adds up to what liability shows as redeemed in the same period.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from include.ledger.booking import RELATED_NOT_FOUND, TransactionType
from include.ledger.catalog import BOOKING_COLUMNS, FieldType
from include.ledger.columns import Column
from include.reports import programs
from include.reports.engine.files import Spool
from include.reports.engine.joins import Batches, Side, chosen, left_join, relation
from include.reports.engine.kept import Kept
from include.reports.engine.replay import BookedPartition, Ints, instants
from include.reports.model import SLICE_ROWS, Asked, Cut, LocalSnapshot, Needs, Period, Report, arrow_schema

KIND = "redemption"
TITLE = "Redemptions"
PERIOD: Period = "optional"

_EXCHANGED = {
    "transaction_id": "transaction_id",
    "redemption_id": "redemption_id",
    "kind": "redemption_kind",
    "result": "redemption_result",
    "reward_id": "exchanged_reward_id",
    "voucher_id": "voucher_id",
    "coupon_code": "coupon_code",
    "order_id": "exchanged_order_id",
    "reward_value": "value_then",
}
_REWARD = {
    "reward_id": "reward_id",
    "name": "reward_name",
    "type": "reward_type",
    "value": "value_now",
    "currency": "reward_currency",
}
_VOUCHER = {
    "voucher_id": "voucher_id",
    "code": "voucher_code",
    "used_at": "voucher_used_at",
    "expires_at": "voucher_expires_at",
}
_CODE = {
    "code": "open_code",
    "voucher_id": "code_voucher_id",
    "used_at": "code_used_at",
    "expires_at": "code_expires_at",
}
_COUPON = {"code": "open_code", "used_at": "pool_used_at", "expires_at": "pool_expires_at"}
_PROGRAM = {"program_id": "program_id", "name": "program_name", "currency": "program_currency"}
_CUSTOMER = {"customer_id": "customer_id", "name": "customer_name", "email": "email"}
_RELATIONS: Needs = {
    "programs": programs.COLUMNS,
    "customers": tuple(_CUSTOMER),
    "redemptions": tuple(_EXCHANGED),
    "rewards": tuple(_REWARD),
    "vouchers": ("voucher_id", "code", "used_at", "expires_at"),
    "coupons": tuple(_COUPON),
}
_REQUIRED = {"redemptions": ("redemption_id", "transaction_id"), "rewards": ("reward_id", "name")}
_OF_ROWS = ("transaction_id", "program_id", "subledger_id", "customer_id", "card_id", "reward_id", "order_id")
_COLUMNS = (
    Column("transaction_id", FieldType.ID),
    Column("redemption_id", FieldType.ID),
    Column("redeemed_at", FieldType.INSTANT),
    Column("program_id", FieldType.ID),
    Column("program_name", FieldType.TEXT),
    Column("subledger_id", FieldType.ID),
    Column("customer_id", FieldType.ID),
    Column("customer_name", FieldType.TEXT, pii=True),
    Column("email", FieldType.TEXT, pii=True),
    Column("card_id", FieldType.ID),
    Column("reward_id", FieldType.ID),
    Column("reward_name", FieldType.TEXT),
    Column("reward_type", FieldType.TEXT),
    Column("points_cost", FieldType.POINTS),
    Column("points_refunded", FieldType.POINTS),
    Column("reward_value", FieldType.MONEY),
    Column("currency", FieldType.TEXT),
    Column("order_id", FieldType.ID),
    Column("voucher_id", FieldType.ID),
    Column("coupon_code", FieldType.ID),
    Column("coupon_used_at", FieldType.INSTANT),
    Column("coupon_expires_at", FieldType.INSTANT),
    Column("redemption_status", FieldType.ENUM),
)
_ELSEWHERE = "refunded_elsewhere"
_REFUNDS = pa.schema([("transaction_id", pa.string()), (_ELSEWHERE, pa.int64())])
_STATUS = pa.array(["used", "expired", "unused"])

Options = programs.Options


def needs(options: Options) -> Needs:  # noqa: ARG001
    """Return the relations and columns that the report reads where the ledger has them."""
    return {"transactions": (*BOOKING_COLUMNS, "reward_id", "order_id"), **_RELATIONS}


def columns(options: Options) -> tuple[Column, ...]:  # noqa: ARG001
    """Return the output columns in order."""
    return _COLUMNS


def report(asked: Asked, snapshot: LocalSnapshot, scratch: Path) -> Report:
    """Return the redemptions of `[start, end)`, or of all time before `as_of`.

    Raises BadInput when the ledger has no redemptions or rewards, or not an asked program.
    """
    assert isinstance(asked.options, Options)
    snapshot.require(KIND, _REQUIRED)
    programs.check(snapshot, KIND, asked.options.programs)
    return _Redemption(asked, asked.options, snapshot, scratch)


class _Redemption:
    def __init__(self, asked: Asked, options: Options, snapshot: LocalSnapshot, scratch: Path) -> None:
        self.cuts: tuple[Cut, ...] = (asked.cut,)
        self._asked = asked
        self._options = options
        self._snapshot = snapshot
        self._scratch = scratch
        self._spool = Spool(scratch / "redeemed.arrow")
        self._refunds = Spool(scratch / "refunds-elsewhere.arrow")
        self.kept: tuple[Kept, ...] = (self._spool, self._refunds)

    def on_partition(self, cut_index: int, partition: BookedPartition) -> Iterable[pa.RecordBatch]:  # noqa: ARG002
        rows = partition.rows
        asked_for = rows.type == TransactionType.REDEEMED
        if self._asked.start is not None:
            asked_for &= rows.created_at >= self._asked.start
        if self._options.programs:
            kept = programs.mask(partition.accounts, self._options.programs)
            asked_for &= np.repeat(kept, np.diff(rows.account_start))
        redeemed = np.flatnonzero(asked_for)
        refunded = _refunded(partition)
        for first in range(0, redeemed.size, SLICE_ROWS):
            one = redeemed[first : first + SLICE_ROWS]
            texts = {name: partition.text(name, one) for name in _OF_ROWS}
            figures = {
                "redeemed_at": instants(rows.created_at[one]),
                "points_cost": pa.array(-rows.points[one]),
                "points_refunded": pa.array(refunded[one]),
            }
            self._spool.write(pa.RecordBatch.from_pydict(texts | figures))
        for batch in _refunds_elsewhere(partition):
            self._refunds.write(batch)
        return ()

    def finish(self) -> Iterator[pa.RecordBatch]:
        rows = self._spool.batches()
        rows = self._join(rows, "redemptions", "transaction_id", _EXCHANGED, _is_exchange, "redemption_id")
        rows = map(_prefer_row, rows)
        rows = self._join(rows, "vouchers", "voucher_id", _VOUCHER)
        rows = self._join(map(_with_open_code, rows), "vouchers", "code", _CODE)
        rows = self._join(rows, "coupons", "code", _COUPON)
        rows = self._join(rows, "rewards", "reward_id", _REWARD)
        rows = self._join(rows, "customers", "customer_id", _CUSTOMER)
        rows = self._join(rows, "programs", "program_id", _PROGRAM)
        rows = left_join(rows, _by_redemption(self._refunds), self._scratch)
        completed = (_completed(batch, self._asked.as_of) for batch in rows)
        yield from chosen(completed, arrow_schema(_COLUMNS))

    def _join(
        self,
        rows: Batches,
        name: str,
        key: str,
        renamed: dict[str, str],
        keep: Callable[[pa.RecordBatch], pa.Array] | None = None,
        first_by: str | None = None,
    ) -> Batches:
        side = relation(self._snapshot, name, key, renamed, keep=keep, first_by=first_by)
        return left_join(rows, side, self._scratch)


def _is_exchange(redemptions: pa.RecordBatch) -> pa.Array:
    """Return which rows stand for points that were exchanged: no rollback, no failure."""
    kind = pc.coalesce(redemptions.column("kind"), "redemption")
    result = pc.coalesce(redemptions.column("result"), "SUCCESS")
    return pc.and_(pc.equal(kind, "redemption"), pc.equal(result, "SUCCESS"))


def _prefer_row(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return rows whose own reward and order count, those of the redemption where they name none."""
    for name in ("reward_id", "order_id"):
        both = pc.coalesce(batch.column(name), batch.column(f"exchanged_{name}"))
        batch = batch.set_column(batch.schema.get_field_index(name), name, both)
    return batch


def _with_open_code(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return rows with the code that is still to be looked up: those without a voucher's id."""
    code = pc.if_else(batch.column("voucher_id").is_valid(), None, batch.column("coupon_code"))
    return batch.append_column("open_code", code)


def _completed(batch: pa.RecordBatch, as_of: int) -> pa.RecordBatch:
    """Return rows with the columns that come from several relations; the voucher's own id decides first."""
    voucher = pc.coalesce(batch.column("voucher_id"), batch.column("code_voucher_id"))
    batch = batch.set_column(batch.schema.get_field_index("voucher_id"), "voucher_id", voucher)
    code = pc.coalesce(batch.column("coupon_code"), batch.column("voucher_code"))
    batch = batch.set_column(batch.schema.get_field_index("coupon_code"), "coupon_code", code)
    used, expires = (
        pc.coalesce(*(batch.column(f"{whose}_{what}") for whose in ("voucher", "code", "pool")))
        for what in ("used_at", "expires_at")
    )
    refunded = pc.add(batch.column("points_refunded"), pc.coalesce(batch.column(_ELSEWHERE), 0))
    batch = batch.set_column(batch.schema.get_field_index("points_refunded"), "points_refunded", refunded)
    more = {
        "reward_value": pc.coalesce(batch.column("value_then"), batch.column("value_now")),
        "currency": pc.coalesce(batch.column("reward_currency"), batch.column("program_currency")),
        "coupon_used_at": used,
        "coupon_expires_at": expires,
        "redemption_status": _status(voucher, code, used, expires, as_of),
    }
    for name, values in more.items():
        batch = batch.append_column(name, values)
    return batch


def _status(voucher: pa.Array, code: pa.Array, used: pa.Array, expires: pa.Array, as_of: int) -> pa.Array:
    """Return used, expired or unused at `as_of`. What has neither voucher nor code is used at once."""
    now = pa.scalar(as_of, pa.int64()).cast(used.type)
    at_once = pc.and_(voucher.is_null(), code.is_null())
    is_used = pc.or_(at_once, pc.coalesce(pc.less(used, now), False))
    is_expired = pc.coalesce(pc.less_equal(expires, now), False)
    return _STATUS.take(pc.if_else(is_used, 0, pc.if_else(is_expired, 1, 2)))


def _refunded(partition: BookedPartition) -> Ints:
    """Return what was refunded of each row, by all refunds of its account that name it."""
    rows = partition.rows
    refunds = np.flatnonzero((rows.type == TransactionType.REDEMPTION_REFUNDED) & (rows.related >= 0))
    refunded = np.zeros(len(rows), np.int64)
    np.add.at(refunded, rows.related[refunds], rows.points[refunds])
    return refunded


def _refunds_elsewhere(partition: BookedPartition) -> Batches:
    """Yield refunds that name no row of their account: the points may be back on another, after a merge for one."""
    rows = partition.rows
    refunds = np.flatnonzero(
        (rows.type == TransactionType.REDEMPTION_REFUNDED) & (rows.related == RELATED_NOT_FOUND)
    )
    for first in range(0, refunds.size, SLICE_ROWS):
        one = refunds[first : first + SLICE_ROWS]
        named = partition.text("related_transaction_id", one)
        yield pa.RecordBatch.from_arrays([named, pa.array(rows.points[one])], schema=_REFUNDS)


def _by_redemption(refunds: Spool) -> Side:
    """Return the sum of the refunds of each transaction that they name."""
    table = pa.Table.from_batches(refunds.batches(), _REFUNDS).group_by("transaction_id", use_threads=False)
    sums = table.aggregate([(_ELSEWHERE, "sum")]).select(["transaction_id", f"{_ELSEWHERE}_sum"])
    sums = sums.rename_columns(_REFUNDS.names)
    return Side("transaction_id", len(sums), _REFUNDS, lambda: iter(sums.to_batches()))
