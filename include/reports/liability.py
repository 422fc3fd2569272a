"""Liability: the points roll-forward of a period and the money owed for outstanding points.

docs/ledger.md section 6. One row per program (and currency, which a program has one of), and on request per
tier, issue month, or both. Figures are differences of cumulative figures at two cuts, both as known at K, so
that a period opens with what the period before closed with; all time opens with nothing. Never added across
programs: currencies differ.

Every run checks that each line foots, that reclassified points sum to 0 in each program, and that all lines
together are what the accounts hold; else LedgerViolation.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from include.errors import LedgerViolation
from include.ledger import rollforward
from include.ledger.ageing import month_text
from include.ledger.catalog import BOOKING_COLUMNS, FieldType
from include.ledger.columns import Column
from include.ledger.rollforward import NONE, RollForward, roll_forward
from include.ledger.rows import Ints
from include.reports.daily import first_created
from include.reports.engine.kept import Kept
from include.reports.engine.replay import BookedPartition
from include.reports.liabilities import consideration as liability_consideration
from include.reports.liabilities import money as liability_money
from include.reports.liabilities import programs as liability_programs
from include.reports.liabilities import tiers as liability_tiers
from include.reports.liabilities.money import Money, Share
from include.reports.liabilities.points import Points
from include.reports.liabilities.programs import Program
from include.reports.model import Asked, Cut, LocalSnapshot, Needs, Period, Report, arrow_schema

KIND = "liability"
TITLE = "Points liability"
PERIOD: Period = "required"

_MOVEMENTS = (
    "opening",
    "earned",
    "earned_reversed",
    "redeemed",
    "refunded",
    "adjusted",
    "transferred_in",
    "transferred_out",
    "expired",
    "reclassified",
    "closing",
    "difference",
    "outstanding",
    "debt",
)
_MONEY = {
    "liability_opening": "opening",
    "liability_added": "added",
    "revenue_redemption": "redemption",
    "revenue_change_of_estimate": "estimate",
    "liability_revalued": "revalued",
    "liability_reclassified": "reclassified",
    "liability_closing": "closing",
}
_RATE_PLACES = Decimal(1).scaleb(-8)


class Options(BaseModel):
    """How to split and to value.

    by: split by tier, issue_month, or both. programs: only these. method: `cost`, `deferred_revenue`, or
    `none` for points only; null takes each program's own choice, else cost. rate_source: where redemption
    rates come from; null takes each program's own choice, else program_rates.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    by: tuple[Literal["tier", "issue_month"], ...] = ()
    programs: tuple[str, ...] = ()
    method: Literal["cost", "deferred_revenue", "none"] | None = None
    rate_source: Literal["program_rates", "chain_ladder"] | None = None


def needs(options: Options) -> Needs:
    """Return the relations and columns that the report reads where the ledger has them."""
    wanted: Needs = {"transactions": BOOKING_COLUMNS, **liability_programs.NEEDS}
    if "tier" in options.by:
        wanted |= liability_tiers.NEEDS
    if options.method in {None, "deferred_revenue"}:
        wanted |= liability_consideration.NEEDS
        wanted["transactions"] = (*BOOKING_COLUMNS, "order_id")
    return wanted


def columns(options: Options) -> tuple[Column, ...]:
    """Return the output columns in order."""
    split = [Column(name, FieldType.TEXT) for name in ("tier", "issue_month") if name in options.by]
    money = [
        Column("method", FieldType.ENUM),
        Column("rate_source", FieldType.ENUM),
        Column("redemption_rate", FieldType.RATE),
        *(Column(name, FieldType.MONEY) for name in _MONEY),
        Column("revenue", FieldType.MONEY),
    ]
    return (
        Column("program_id", FieldType.ID),
        Column("program_name", FieldType.TEXT),
        Column("currency", FieldType.TEXT),
        Column("period_start", FieldType.INSTANT),
        Column("period_end", FieldType.INSTANT),
        *split,
        *(Column(name, FieldType.POINTS) for name in _MOVEMENTS),
        *([] if options.method == "none" else money),
    )


def report(asked: Asked, snapshot: LocalSnapshot, scratch: Path) -> Report:
    """Return the liability over `[start, end)`; raise BadInput when the ledger lacks what the method needs."""
    options = Options.model_validate(asked.options.model_dump())
    if options.method != "none":
        snapshot.require(KIND, {"program_rates": ("program_id", "valid_from")})
    if "tier" in options.by:
        snapshot.require(KIND, {"tier_changes": liability_tiers.NEEDS["tier_changes"][2:]})
    return _Liability(asked, options, snapshot, scratch)


class _Liability:
    def __init__(self, asked: Asked, options: Options, snapshot: LocalSnapshot, scratch: Path) -> None:
        first = first_created(snapshot) if asked.start is None else asked.start
        self._start = asked.as_of if first is None else min(first, asked.as_of)
        self._end, self._known_at, self._of_all_time = asked.as_of, asked.known_at, asked.start is None
        self.cuts: tuple[Cut, ...] = tuple(
            Cut(at, asked.known_at, allocations=True) for at in (self._start, self._end)
        )
        self._options = options
        self._values = options.method != "none"
        self._programs = liability_programs.read(
            snapshot,
            KIND,
            options.programs,
            method=None if options.method == "none" else options.method,
            rate_source=options.rate_source,
        )
        by_tier = "tier" in options.by
        tiers = liability_tiers.Tiers(snapshot, scratch, (self._start, self._end)) if by_tier else None
        self._points = Points(
            self._programs,
            tiers,
            scratch,
            months=self._values or "issue_month" in options.by,
            develop=self._values and any(x.rate_source == "chain_ladder" for x in self._programs.values()),
            complete=not options.programs,
        )
        self.kept: tuple[Kept, ...] = (self._points,)
        self._snapshot, self._scratch = snapshot, scratch
        deferring = {key: x for key, x in self._programs.items() if x.method == "deferred_revenue"}
        self._deferring = deferring if self._values else {}
        if self._deferring:
            liability_consideration.check(snapshot)

    def on_partition(self, cut_index: int, partition: BookedPartition) -> Iterable[pa.RecordBatch]:
        self._points.add(cut_index, partition)
        return ()

    def finish(self) -> Iterator[pa.RecordBatch]:
        opening, start, end = self._points.lines()
        every = sorted({*opening, *start, *end}, key=_line_order)
        nothing = np.zeros(self._points.components, np.int64)
        shares = {
            key: Share(opening.get(key, nothing), start.get(key, nothing), end.get(key, nothing))
            for key in every
        }
        rolled = {key: roll_forward(share.opening, share.start, share.end) for key, share in shares.items()}
        _check(rolled)
        self._points.check(rolled)
        valued, expected = self._value(shares) if self._values else ({}, {})
        rows = list(self._rows(shares, valued, expected))
        yield pa.RecordBatch.from_pylist(rows, schema=arrow_schema(columns(self._options)))

    def _value(self, shares: Mapping[_Key, Share]) -> tuple[dict[_Key, Money], dict[str, _Cuts]]:
        valued: dict[_Key, Money] = {}
        cuts: dict[str, _Cuts] = {}
        considerations = self._read_considerations()
        for program_id, program in self._programs.items():
            keys: defaultdict[int, list[_Key]] = defaultdict(list)
            for key in shares:
                if key[0] == program_id:
                    keys[key[2]].append(key)
            start, end = (
                self._cut(program, {m: _sum(shares, k, which) for m, k in keys.items()}, i, considerations[i])
                for i, which in enumerate(("start", "end"))
            )
            cuts[program_id] = (start, end)
            for month, members in keys.items():
                money = liability_money.cohort_money(program, start, end, month)
                parts = liability_money.share_out(program, money, [shares[key] for key in members])
                valued |= dict(zip(members, parts, strict=True))
        for key, money in valued.items():
            if money.difference:
                raise LedgerViolation(f"the money of {_name(key)} does not foot by {money.difference}")
        return valued, cuts

    def _cut(
        self,
        program: Program,
        figures: Mapping[int, Ints],
        index: int,
        considerations: liability_consideration.Considerations,
    ) -> liability_money.Cut:
        at = self.cuts[index].as_of
        developed = self._points.developed(index, program.program_id)
        own = {month: amount for (key, month), amount in considerations.items() if key == program.program_id}
        return liability_money.Cut(
            at, figures, own, liability_money.expected(program, figures, developed, at)
        )

    def _read_considerations(
        self,
    ) -> tuple[liability_consideration.Considerations, liability_consideration.Considerations]:
        # After the partitions: the two would need their memory at the same time.
        if not self._deferring:
            return {}, {}
        return liability_consideration.considerations(
            self._snapshot, self._scratch, self._deferring, self._start, self._end, self._known_at
        )

    def _rows(
        self, shares: Mapping[_Key, Share], valued: Mapping[_Key, Money], cuts: Mapping[str, _Cuts]
    ) -> Iterator[dict[str, Any]]:
        """Yield the rows, added up over what the report is not split by; a line of zeros only when alone."""
        lines: defaultdict[_Key, list[_Key]] = defaultdict(list)
        if not self._options.by:
            lines |= {(program_id, None, NONE): [] for program_id in self._programs}
        for key in shares:
            month = key[2] if "issue_month" in self._options.by else NONE
            lines[key[0], key[1], month].append(key)
        for line, members in sorted(lines.items(), key=lambda item: _line_order(item[0])):
            points = roll_forward(*(self._total(shares, members, x) for x in ("opening", "start", "end")))
            money = sum((valued[key] for key in members if key in valued), Money())
            if self._options.by and not any((*vars(points).values(), *vars(money).values())):
                continue
            yield self._row(line, points, money, [key[2] for key in members], cuts.get(line[0]))

    def _total(self, shares: Mapping[_Key, Share], members: list[_Key], which: str) -> Ints:
        if not members:
            return np.zeros(self._points.components, np.int64)
        return _sum(shares, members, which)

    def _row(
        self, line: _Key, points: RollForward, money: Money, months: list[int], cuts: _Cuts | None
    ) -> dict[str, Any]:
        program = self._programs[line[0]]
        row: dict[str, Any] = {
            "program_id": program.program_id,
            "program_name": program.name,
            "currency": program.currency,
            "period_start": None if self._of_all_time else self._start,
            "period_end": self._end,
            "tier": line[1],
            "issue_month": "none" if line[2] == NONE else month_text(line[2]),
            **{name: getattr(points, name) for name in _MOVEMENTS},
        }
        if cuts is None:
            return row
        deferring = program.method == "deferred_revenue"
        row |= {"method": program.method, "rate_source": cuts[1].expected.source}
        row["redemption_rate"] = _expected_rate(cuts[1], set(months))
        row |= {name: getattr(money, part) for name, part in _MONEY.items()}
        row["revenue"] = money.redemption + money.estimate
        not_said = (
            ("liability_revalued",)
            if deferring
            else ("liability_added", "revenue_redemption", "revenue_change_of_estimate", "revenue")
        )
        return row | dict.fromkeys(not_said)


_Key = tuple[str, str | None, int]
_Cuts = tuple[liability_money.Cut, liability_money.Cut]


def _line_order(key: _Key) -> tuple[bytes, bool, bytes, int]:
    return key[0].encode(), key[1] is not None, (key[1] or "").encode(), key[2]


def _name(key: _Key) -> str:
    tier = f", tier {key[1]}" if key[1] else ""
    return f"program {key[0]}{tier}, issue month {'none' if key[2] == NONE else month_text(key[2])}"


def _sum(shares: Mapping[_Key, Share], keys: Iterable[_Key], which: str) -> Ints:
    total: Ints = np.sum([getattr(shares[key], which) for key in keys], axis=0)
    return total


def _expected_rate(cut: liability_money.Cut, months: set[int]) -> Decimal | None:
    """Return the share of the points issued in `months` that is expected to be redeemed in all."""
    kept = sum(
        rollforward.issued(row) - rollforward.taken_back(row)
        for month, row in cut.figures.items()
        if month in months & cut.expected.ultimates.keys()
    )
    ultimate = sum((cut.expected.ultimates.get(month, Fraction(0)) for month in months), Fraction(0))
    if not kept:
        return None
    share = ultimate / kept
    return (Decimal(share.numerator) / Decimal(share.denominator)).quantize(_RATE_PLACES)


def _check(rolled: Mapping[_Key, RollForward]) -> None:
    """Raise LedgerViolation unless every line foots and reclassified points sum to 0 in each program."""
    for key, line in rolled.items():
        if line.difference:
            raise LedgerViolation(
                f"the roll-forward of {_name(key)} does not foot by {line.difference} hundredths"
            )
    reclassified: defaultdict[str, int] = defaultdict(int)
    for key, line in rolled.items():
        reclassified[key[0]] += line.reclassified
    for program_id, points in reclassified.items():
        if points:
            raise LedgerViolation(
                f"reclassified points of program {program_id} sum to {points} hundredths, not 0"
            )
