"""Cohorts of points in plain Python: every hundredth of a point is an object that remembers its origin.

Written independently of the compiled code: it takes the reference's allocations and moves single units around.
Instants serve as cohorts. Transfers find their other half by id, in any account.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from tests.ledger.reference import Outcome, Posted, replay

NONE = -1
Figures = Counter[tuple[str, int, str]]  # (account, cohort, word) -> hundredths
NAMES = {
    "earned": "earned",
    "earned_reversed": "earned_reversed",
    "redeemed": "redeemed",
    "redemption_refunded": "refunded",
    "transferred_in": "transferred_in",
    "transferred_out": "transferred_out",
}


def word(row: Posted) -> str:
    if row.type == "adjusted":
        return "adjusted_up" if row.points > 0 else "adjusted_down"
    return NAMES[row.type]


def cohorts(rows: Sequence[Posted], at: int) -> Figures:
    """Figures by account, cohort and word, before `at`."""
    known = [row for row in rows if row.created_at < at]
    return _Units(known, replay(known, at)).figures


class _Units:
    def __init__(self, rows: Sequence[Posted], outcomes: dict[str, Outcome]) -> None:
        self.figures: Figures = Counter()
        self.by_id = {(row.account, row.id): row for row in rows}
        self.outcomes = outcomes
        self.rows = sorted(rows, key=lambda r: (r.created_at, r.points <= 0, r.id.encode()))
        # What each debit took of each lot, in order: (lot, first unit, units, at, kind).
        self.taken: defaultdict[tuple[str, str], list[tuple[str, int, int, int, int]]] = defaultdict(list)
        self.gone: Counter[tuple[str, str]] = Counter()
        for account, outcome in outcomes.items():
            for debit, lot, points, when, kind in outcome.allocations:
                self.taken[account, debit].append((lot, self.gone[account, lot], points, when, kind))
                self.gone[account, lot] += points
        self.known: dict[tuple[str, str, int], int] = {}
        for row in self.rows:
            self.count(row)
        for account, outcome in outcomes.items():
            for name, change, *_ in outcome.history:
                if name.startswith("expiry:"):
                    lot = name.removeprefix("expiry:")
                    self.rest(account, lot, -change, "expired")
                    self.gone[account, lot] -= change
            for lot, left in outcome.remaining.items():
                self.rest(account, lot, left, "outstanding")
            self.figures[account, NONE, "debt"] += outcome.debt

    def unit(self, account: str, name: str, index: int) -> int:
        """The cohort of one unit of a lot; units leave it in the order of their index."""
        key = (account, name, index)
        if key not in self.known:
            row = self.by_id[account, name]
            self.known[key] = row.created_at  # while we look: a unit that comes from itself
            came_from = self.source(row, index)
            if came_from is not None:
                self.known[key] = self.unit(*came_from)
        return self.known[key]

    def source(self, row: Posted, index: int) -> tuple[str, str, int] | None:
        """Which unit of which lot a unit was before it was refunded or transferred."""
        pieces: list[tuple[str, int, int]] = []
        if row.type == "redemption_refunded" and row.related is not None:
            debit = self.by_id.get((row.account, row.related))
            if debit is None or debit.type != "redeemed":
                return None
            earlier = [
                r for r in self.rows if (r.account, r.type, r.related) == (row.account, row.type, row.related)
            ]
            pieces = [
                (lot, first, n)
                for lot, first, n, when, _ in self.taken[debit.account, debit.id]
                if when < row.created_at
            ]
        elif row.type == "transferred_in":
            debit = self.other_half(row)
            if debit is None:
                return None
            earlier = [r for r in self.rows if r.type == row.type and self.other_half(r) is debit]
            pieces = [
                (lot, first, n) for lot, first, n, _, kind in self.taken[debit.account, debit.id] if kind == 0
            ]
        else:
            return None
        index += sum(r.points for r in earlier[: earlier.index(row)])
        units = [(debit.account, lot, i) for lot, first, n in pieces for i in range(first, first + n)]
        return units[index] if index < len(units) else None

    def other_half(self, row: Posted) -> Posted | None:
        outs = [r for r in self.rows if r.type == "transferred_out" and r.created_at <= row.created_at]
        named = [r for r in outs if row.related is not None and r.id == row.related]
        return next(iter(named or [r for r in outs if r.related is not None and r.related == row.id]), None)

    def count(self, row: Posted) -> None:
        if row.points > 0:
            for i in range(row.points):
                self.figures[row.account, self.unit(row.account, row.id, i), word(row)] += 1
        elif row.points < 0:
            pieces = self.taken[row.account, row.id]
            if row.type != "expired":
                unpaid = -row.points - sum(points for *_, points, _, kind in pieces if kind == 0)
                self.figures[row.account, NONE, word(row)] += unpaid
            for lot, first, points, _, kind in pieces:
                if kind == 1:
                    self.figures[row.account, NONE, "debt_repaid"] += points
                name = {0: word(row) if row.type != "expired" else "", 1: "repaid", 2: "expired"}[kind]
                for i in range(first, first + points):
                    self.figures[row.account, self.unit(row.account, lot, i), name] += 1

    def rest(self, account: str, lot: str, points: int, name: str) -> None:
        first = self.gone[account, lot]
        for i in range(first, first + points):
            self.figures[account, self.unit(account, lot, i), name] += 1
