"""One customer's figures, from the reports that every export is made of, cut down to what one page shows.

Reports write into scratch, and only what is shown is read from there: memory does not follow the length of a history.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from include.definitions.zones import zone as known_zone
from include.formats.styles import plain
from include.ledger.rows import TransactionType
from include.pipeline.context import Progress
from include.pipeline.customers import picked
from include.pipeline.customers.picked import MOST_TRACED, Filter, Row, Rows
from include.reports import allocations, balance, history, lots, projection, redemption
from include.reports.engine import files
from include.reports.engine.files import Spool
from include.reports.engine.render import Job, render
from include.reports.model import Asked, LocalSnapshot, Needs
from include.snapshots.excerpt import Excerpt

MOST_ACCOUNTS = 500
MOST_LOTS = 200
MOST_THINGS = 100  # tier changes, redemptions, vouchers, cards
TYPES = tuple(kind.word for kind in TransactionType)
_HISTORY = history.Options(profile="all")
# What a page shows beside what its reports read: of the customer, of cards and of vouchers all.
PERSON = (
    "customer_id", "source_id", "name", "description", "email", "phone", "birthdate", "birthday", "address_line_1",
    "address_line_2", "address_postal_code", "address_city", "address_state", "address_country", "status",
    "referrer_id", "registered_at",
)  # fmt: skip
_CARD = ("card_id", "program_id", "customer_id", "status", "block_reason", "created_at")
_VOUCHER = (
    "voucher_id",
    "code",
    "voucher_type",
    "customer_id",
    "starts_at",
    "expires_at",
    "used_at",
    "active",
)
_PROGRAMS = ("program_id", "time_zone")
_TIERS = ("program_id", "subledger_id", "tier_id", "name", "rank")
_TIER_CHANGES = ("program_id", "subledger_id", "customer_id", "changed_at", "tier_id", "expires_at", "reason")


@dataclass(frozen=True)
class View:
    """What is asked of a customer: the state at `at` (microseconds; None: now), days in `zone`, some transactions.

    zone: empty, that of the program with most transactions. all_lots: more of them than fit on a page at first.
    """

    at: int | None = None
    zone: str = ""
    shown: Filter = field(default_factory=Filter)
    all_lots: bool = False


@dataclass(frozen=True)
class Figures:
    """What one page shows. Points are hundredths, instants aware datetimes; rows have the names of their reports.

    accounts, entries (the newest first), lots (open ones first, what expires next before), traced (allocations of
    these entries and lots), projected (by day, of each program), redeemed (the newest first): rows of the reports
    balance, history, lots, allocations, projection and redemption. tiers, vouchers, cards: of the relations.
    zones: of every program of the ledger; zone: in which the days of `projected` begin.
    """

    at: int
    zone: str
    zones: dict[str, str]
    person: Row | None
    cards: Rows
    accounts: Rows
    accounts_total: int
    tiers: Rows
    lots: Rows
    lots_total: int
    lots_open: int
    entries: Rows
    entries_total: int
    traced: Rows
    traced_more: bool
    projected: Rows
    redeemed: Rows
    redeemed_total: int
    vouchers: Rows
    vouchers_total: int


def needs() -> Needs:
    """Return the relations and columns that a page is made of."""
    wanted: dict[str, dict[str, None]] = {}
    for module, options in _reports():
        for relation, columns in module.needs(options).items():
            wanted.setdefault(relation, {}).update(dict.fromkeys(columns))
    shown = {
        "customers": PERSON,
        "cards": _CARD,
        "vouchers": _VOUCHER,
        "programs": _PROGRAMS,
        "tiers": _TIERS,
        "tier_changes": _TIER_CHANGES,
    }
    for relation, columns in shown.items():
        wanted.setdefault(relation, {}).update(dict.fromkeys(columns))
    return {relation: tuple(columns) for relation, columns in wanted.items()}


def _reports() -> tuple[tuple[Any, Any], ...]:
    return (
        (balance, balance.Options()),
        (history, _HISTORY),
        (lots, lots.Options()),
        (allocations, allocations.Options()),
        (projection, projection.Options(grain="customer", include_zero=True)),
        (redemption, redemption.Options()),
    )


def figures(excerpt: Excerpt, view: View, folder: Path, *, progress: Progress | None = None) -> Figures:
    """Return the figures of an excerpt; `folder` is for work."""
    at = excerpt.read_at if view.at is None else view.at
    zones = {row["program_id"]: row["time_zone"] for row in _relation(excerpt, "programs", _PROGRAMS)}
    zone = view.zone or _zone(excerpt, zones)
    spools = _rendered(excerpt, at, zone, folder, progress)
    entries = picked.entries(spools["history"], view.shown)
    places, open_count = picked.lots_in_order(spools["lots"])
    shown = places if view.all_lots else places[:MOST_LOTS]
    chosen_lots = picked.taken(spools["lots"], shown[: 10 * MOST_LOTS])
    ids = {row["transaction_id"] for row in entries.rows} | {row["lot_id"] for row in chosen_lots}
    traced = picked.traced(spools["allocations"], ids)
    redeemed = picked.newest(spools.get("redemption"), "redeemed_at")
    vouchers = _vouchers(excerpt)
    return Figures(
        at=at,
        zone=zone,
        zones=zones,
        person=next(iter(_relation(excerpt, "customers", PERSON)), None),
        cards=_relation(excerpt, "cards", _CARD)[:MOST_THINGS],
        accounts=picked.taken(spools["balance"], np.arange(min(spools["balance"].rows, MOST_ACCOUNTS))),
        accounts_total=spools["balance"].rows,
        tiers=_tiers(excerpt, at),
        lots=chosen_lots,
        lots_total=spools["lots"].rows,
        lots_open=open_count,
        entries=entries.rows,
        entries_total=entries.total,
        traced=traced[:MOST_TRACED],
        traced_more=len(traced) > MOST_TRACED,
        projected=picked.taken(
            spools["projection"], np.arange(min(spools["projection"].rows, 31 * MOST_THINGS))
        ),
        redeemed=redeemed.rows,
        redeemed_total=redeemed.total,
        vouchers=vouchers[:MOST_THINGS],
        vouchers_total=len(vouchers),
    )


def _rendered(
    excerpt: Excerpt, at: int, zone: str, folder: Path, progress: Progress | None
) -> dict[str, Spool]:
    """Return the rows of each report in scratch; `redemption` only where the ledger has what it needs."""
    spools: dict[str, Spool] = {}
    jobs = []
    for module, options in _reports():
        if module is redemption and not (excerpt.things and _redeems(excerpt.snapshot)):
            continue
        spools[module.KIND] = Spool(folder / f"{module.KIND}.arrow")
        asked = Asked(None, None, at, excerpt.read_at, options, zone)
        jobs.append(Job(module, asked, _into(spools[module.KIND])))
    if excerpt.rows:
        render(jobs, excerpt.snapshot, folder, progress=progress)
    return spools


def _redeems(snapshot: LocalSnapshot) -> bool:
    return snapshot.has("redemptions", "redemption_id", "transaction_id") and snapshot.has(
        "rewards", "reward_id", "name"
    )


def _into(spool: Spool) -> Callable[[Iterator[pa.RecordBatch]], None]:
    def sink(batches: Iterator[pa.RecordBatch]) -> None:
        for batch in batches:
            spool.write(_plain(batch))
        spool.close()

    return sink


def _plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the batch without dictionaries: they may hold the texts of all rows."""
    return pa.RecordBatch.from_arrays([plain(array) for array in batch.columns], names=batch.schema.names)


def _relation(excerpt: Excerpt, name: str, columns: Sequence[str]) -> Rows:
    """Return the rows of a relation; what the ledger lacks of it is None."""
    paths = excerpt.snapshot.files.get(name, ())
    read = files.batches(name, paths, columns, batch_rows=10_000)
    return [row for batch in read for row in batch.to_pylist()]


def _zone(excerpt: Excerpt, zones: dict[str, str]) -> str:
    """Return the zone of the program with most transactions; UTC where that has none that is one."""
    counts: Counter[str] = Counter()
    paths = excerpt.snapshot.files["transactions"]
    for batch in files.batches("transactions", paths, ("program_id",), batch_rows=100_000):
        for each in batch.column("program_id").value_counts().to_pylist():
            counts[each["values"]] += each["counts"]
    found = zones.get(counts.most_common(1)[0][0], "UTC") if counts else "UTC"
    try:
        return known_zone(found).key
    except ValueError:
        return "UTC"


def _tiers(excerpt: Excerpt, at: int) -> Rows:
    """Return the changes of tier before `at`, the newest first, with the tiers' names."""
    names = {(row["program_id"], row["tier_id"]): row["name"] for row in _relation(excerpt, "tiers", _TIERS)}
    found = []
    for row in _relation(excerpt, "tier_changes", _TIER_CHANGES):
        moment = pa.scalar(row["changed_at"], pa.timestamp("us", tz="UTC")).value
        if moment < at:
            found.append(
                (moment, row | {"tier": names.get((row["program_id"], row["tier_id"]), row["tier_id"])})
            )
    found.sort(key=lambda each: -each[0])
    return [row for _, row in found[:MOST_THINGS]]


def _vouchers(excerpt: Excerpt) -> Rows:
    """Return the vouchers that were given to the customer, the ones that can be used first."""
    of = [row for row in _relation(excerpt, "vouchers", _VOUCHER) if row["customer_id"] == excerpt.holder.id]
    return sorted(
        of, key=lambda row: (row["used_at"] is not None, str(row["expires_at"] or "9"), row["code"] or "")
    )
