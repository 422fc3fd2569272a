"""Balance: what every account, or every customer, holds as of an instant.

docs/ledger.md section 4. A customer's figures are those of the customer's own accounts and owned cards; a card
without an owner is a row of its own, so customers add up to accounts. Rows of holders of one kind alone do not
add up to the program.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from include.ledger.catalog import BOOKING_COLUMNS, FieldType
from include.ledger.columns import Column
from include.reports import programs, tiers
from include.reports.engine import files, owners
from include.reports.engine.figures import POINTS, figures
from include.reports.engine.files import Spool
from include.reports.engine.joins import Batches, Side, left_joins, relation
from include.reports.engine.kept import Kept
from include.reports.engine.replay import BookedPartition
from include.reports.model import Asked, Cut, LocalSnapshot, Needs, Period, Report
from include.reports.relation import filled

KIND = "balance"
TITLE = "Balances"
PERIOD: Period = "none"

_HOLDER = ("program_id", "subledger_id", "holder_kind", "holder_id", "card_id", "customer_id")
_OF_FIGURES = (*_HOLDER, *POINTS, "last_activity_at")
_COLUMNS = (
    Column("program_id", FieldType.ID),
    Column("program_name", FieldType.TEXT),
    Column("subledger_id", FieldType.ID),
    Column("holder_kind", FieldType.ENUM),
    Column("holder_id", FieldType.ID),
    Column("customer_id", FieldType.ID),
    Column("customer_name", FieldType.TEXT, pii=True),
    Column("email", FieldType.TEXT, pii=True),
    Column("tier", FieldType.TEXT),
    *(Column(name, FieldType.POINTS) for name in POINTS),
    Column("registered_at", FieldType.INSTANT),
    Column("last_activity_at", FieldType.INSTANT),
    Column("stated_balance", FieldType.POINTS),
    Column("stated_difference", FieldType.POINTS),
    Column("program_external_id", FieldType.INTEGER),
    Column("card_status", FieldType.ENUM),
)
_STATED = ("stated_balance", "stated_difference")
# What one grain cannot have: a customer has all purses of a program, and only customers and whole cards have a
# balance that the ledger's owner states.
_LEFT_OUT = {"customer": {"subledger_id"}, "account": set(_STATED)}
# Between purse and tier while accounts become customers: the tier of the first purse is the customer's.
_SEPARATOR = "\x1f"
_OF_PROGRAM = {"program_id": "program_id", "name": "program_name", "external_id": "program_external_id"}
Rows = TypeVar("Rows", pa.Table, pa.RecordBatch)


class Options(BaseModel):
    """`grain` says what one row is; `holders` and `programs` keep only these; `include_zero` keeps rows of nothing.

    With grain `customer`, cards are those that nobody owns.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    grain: Literal["account", "customer"] = "account"
    holders: Literal["all", "customers", "cards"] = "all"
    include_zero: bool = True
    programs: tuple[str, ...] = ()


def needs(options: Options) -> Needs:
    """Return the relations and columns that the report reads where the ledger has them."""
    stated = ("stated_balance",) if options.grain == "customer" else ()
    return {
        **tiers.NEEDS,
        "transactions": BOOKING_COLUMNS,
        "programs": (*programs.COLUMNS, "external_id"),
        "customers": (*owners.NEEDS["customers"], *stated),
        "cards": (*owners.NEEDS["cards"], "status", *stated),
    }


def columns(options: Options) -> tuple[Column, ...]:
    """Return the output columns in order."""
    return tuple(column for column in _COLUMNS if column.name not in _LEFT_OUT[options.grain])


def of_accounts(options: Options) -> bool:
    """Return whether each row is of one account, in the order of accounts."""
    return options.grain == "account"


def of_figures(options: Options) -> bool:  # noqa: ARG001
    """Return whether the figures of accounts are enough: then it can be made from a checkpoint."""
    return True


def report(asked: Asked, snapshot: LocalSnapshot, scratch: Path) -> Report:
    """Return the balances at `as_of`; raise BadInput for a program that the ledger does not have."""
    assert isinstance(asked.options, Options)
    programs.check(snapshot, KIND, asked.options.programs)
    return _Balance(asked, asked.options, snapshot, scratch)


class _Balance:
    def __init__(self, asked: Asked, options: Options, snapshot: LocalSnapshot, scratch: Path) -> None:
        self.cuts: tuple[Cut, ...] = (asked.cut,)
        self._options = options
        self._snapshot = snapshot
        self._scratch = scratch
        self._asked = asked
        self._figures = Spool(scratch / "figures.arrow")
        self.kept: tuple[Kept, ...] = (self._figures,)

    def on_partition(self, cut_index: int, partition: BookedPartition) -> Iterable[pa.RecordBatch]:  # noqa: ARG002
        return self._keep(figures(partition), partition.first_account)

    def on_figures(self, accounts: pa.RecordBatch, first: int) -> Iterable[pa.RecordBatch]:
        return self._keep(pa.Table.from_batches([accounts]), first)

    def _keep(self, accounts: pa.Table, first: int) -> Iterable[pa.RecordBatch]:
        table = accounts.select(_OF_FIGURES)
        table = table.append_column("place", pa.array(np.arange(len(table)) + first))
        kept = programs.keep(table, self._options.programs)
        if self._options.grain == "account":
            kept = self._of_holders(kept)
        for batch in kept.to_batches():
            self._figures.write(batch)
        return ()

    def finish(self) -> Iterator[pa.RecordBatch]:
        rows = self._figures.batches()
        if self._is_by_customer or self._asked.wants("customer_id", "tier", *owners.NAMES):
            rows = owners.with_owners(rows, self._snapshot, self._scratch)
        if self._asked.wants("tier"):
            rows = tiers.with_tiers(rows, self._snapshot, self._asked.as_of, self._scratch)
        else:
            rows = (batch.append_column("tier", pa.nulls(len(batch), pa.string())) for batch in rows)
        if self._is_by_customer:
            rows = map(self._of_holders, self._by_customer(rows))
        rows = left_joins(rows, list(self._sides()), self._scratch)
        if self._is_by_customer:
            rows = map(self._stated, rows)
        for batch in rows if self._options.include_zero else map(_without_zero, rows):
            yield filled(batch, columns(self._options))

    @property
    def _is_by_customer(self) -> bool:
        return self._options.grain == "customer"

    def _of_holders(self, rows: Rows) -> Rows:
        """Return the rows whose holders are asked for."""
        if self._options.holders == "all":
            return rows
        return rows.filter(pc.equal(rows.column("holder_kind"), self._options.holders.removesuffix("s")))

    def _by_customer(self, rows: Batches) -> Batches:
        grouped = owners.by_customer(
            map(_with_purse, rows),
            sums=POINTS,
            largest=("last_activity_at",),
            smallest=("tier",),
            rows_count=self._figures.rows,
            folder=self._scratch,
        )
        for some in grouped:
            tier = pc.list_element(pc.split_pattern(some.rows.column("tier"), _SEPARATOR), 1)
            place = some.rows.schema.get_field_index("tier")
            yield some.rows.set_column(place, "tier", tier)

    def _sides(self) -> Iterator[Side]:
        """Yield what is looked up of programs, cards and customers, as far as somebody reads it."""
        stated = self._is_by_customer and self._asked.wants(*_STATED)
        if self._asked.wants("program_name", "program_external_id"):
            yield relation(self._snapshot, "programs", "program_id", _OF_PROGRAM)
        of_card = {"status": "card_status"} if self._asked.wants("card_status") else {}
        if stated:
            of_card["stated_balance"] = "card_stated"
        if of_card:
            yield relation(self._snapshot, "cards", "card_id", {"card_id": "card_id", **of_card})
        if stated:
            yield owners.names(self._snapshot, stated_balance="customer_stated")
        elif self._asked.wants(*owners.NAMES):
            yield owners.names(self._snapshot)

    def _stated(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Add what the ledger's owner states. A customer's figure has no program: only one may be there."""
        if "card_stated" not in batch.schema.names:
            return batch
        one_program = files.row_count(self._snapshot.files.get("programs", ())) == 1
        of_customer = batch.column("customer_stated") if one_program else pa.nulls(len(batch), pa.int64())
        stated = pc.coalesce(batch.column("card_stated"), of_customer)
        difference = pc.subtract(stated, batch.column("points_balance"))
        return batch.append_column("stated_balance", stated).append_column("stated_difference", difference)


def _with_purse(accounts: pa.RecordBatch) -> pa.RecordBatch:
    """Return accounts with their purse before the tier, so that the smallest is the tier of the first purse."""
    tier = pc.binary_join_element_wise(accounts.column("subledger_id"), accounts.column("tier"), _SEPARATOR)
    place = accounts.schema.get_field_index("tier")
    return accounts.set_column(place, "tier", tier).drop_columns(["holder_kind", "holder_id", "subledger_id"])


def _without_zero(rows: pa.RecordBatch) -> pa.RecordBatch:
    held = [pc.not_equal(rows.column(name), 0) for name in ("active", "pending", "negative_balance")]
    return rows.filter(pc.or_(pc.or_(held[0], held[1]), held[2]))
