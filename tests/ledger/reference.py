"""Booking in plain Python, instant by instant, as docs/ledger.md section 3 reads: slow, short, independent.

It shares nothing with the kernel but the words. `Outcome` is what both are compared by.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Posted:
    """One row of the ledger; instants are integers, None is null."""

    id: str
    type: str
    points: int
    created_at: int
    activates_at: int | None = None
    expires_at: int | None = None
    related: str | None = None
    account: str = "a"


@dataclass
class Outcome:
    """One account at an instant. History holds (id, change, confirmed, balance_after), also for expiries."""

    active: int = 0
    pending: int = 0
    expired: int = 0
    debt: int = 0
    redeemed: int = 0
    refunded: int = 0
    lifetime_earned: int = 0
    posted: int = 0
    last_activity_at: int | None = None
    history: list[tuple[str, int, int, int]] = field(default_factory=list)
    expiry_at: dict[str, int] = field(default_factory=dict)
    unposted: dict[str, int] = field(default_factory=dict)
    remaining: dict[str, int] = field(default_factory=dict)
    debts: dict[str, int] = field(default_factory=dict)
    uncovered: dict[str, int] = field(default_factory=dict)
    problems: dict[str, set[str]] = field(default_factory=dict)
    allocations: list[tuple[str, str, int, int, int]] = field(default_factory=list)

    @property
    def spent(self) -> int:
        return self.redeemed - self.refunded


@dataclass
class Lot:
    row: Posted
    activates_at: int
    expires_at: float
    left: int
    status: str = "pending"
    lapsed: bool = False
    reversed: int = 0

    @property
    def rule_two(self) -> tuple[float, int, int, bytes]:
        return (self.expires_at, self.activates_at, self.row.created_at, self.row.id.encode())


LOT_TYPES = {"earned", "redemption_refunded", "transferred_in"}


def is_creation(row: Posted) -> bool:
    return row.points > 0 or (row.points == 0 and row.type in LOT_TYPES)


def replay(rows: Iterable[Posted], at: int) -> dict[str, Outcome]:
    rows = [row for row in rows if row.created_at < at]
    accounts = sorted({row.account for row in rows})
    return {name: Account([row for row in rows if row.account == name], at).outcome for name in accounts}


class Account:
    def __init__(self, rows: list[Posted], at: int) -> None:
        self.outcome = Outcome()
        self.lots: dict[str, Lot] = {}
        self.debts: list[list] = []  # [row, owed], oldest first
        self.balance = 0
        instants = set()
        for row in rows:
            instants |= {row.created_at, row.activates_at or 0, row.expires_at}
        for instant in sorted(i for i in instants if i is not None and i <= at):
            here = sorted((row for row in rows if row.created_at == instant), key=lambda row: row.id.encode())
            for row in here:
                if is_creation(row):
                    self.create(row)
            self.expire(instant)
            self.activate(instant)
            for row in here:
                if not is_creation(row):
                    self.debit(row)
        out = self.outcome
        out.active = sum(lot.left for lot in self.lots.values() if lot.status == "active")
        out.pending = sum(lot.left for lot in self.lots.values() if lot.status == "pending")
        out.debt = sum(owed for _, owed in self.debts)
        out.remaining = {name: lot.left for name, lot in self.lots.items()}
        out.debts = {row.id: owed for row, owed in self.debts if owed}

    def note(self, row: Posted, change: int, confirmed: int = 0) -> None:
        self.balance += change
        self.outcome.history.append((row.id, change, confirmed, self.balance))
        if row.points == 0:
            self.problem(row, "zero_points")
        if row.type == "expired":
            return
        self.outcome.posted += row.points
        self.outcome.last_activity_at = row.created_at
        if row.type == "earned":
            self.outcome.lifetime_earned += row.points
        if row.type == "redeemed":
            self.outcome.redeemed -= row.points
        if row.type == "redemption_refunded":
            self.outcome.refunded += row.points

    def problem(self, row: Posted, name: str) -> None:
        self.outcome.problems.setdefault(row.id, set()).add(name)

    def create(self, row: Posted) -> None:
        if row.points > 0:
            activates_at = max(
                row.created_at, row.activates_at if row.activates_at is not None else row.created_at
            )
            expires_at = float("inf") if row.expires_at is None else row.expires_at
            self.lots[row.id] = Lot(row, activates_at, expires_at, row.points)
            if expires_at <= activates_at:
                self.problem(row, "expires_before_usable")
            if row.expires_at is None and row.type in ("redemption_refunded", "transferred_in"):
                self.problem(row, "without_expiry")
        self.note(row, row.points)

    def in_order(self, status: str) -> list[Lot]:
        return sorted(
            (lot for lot in self.lots.values() if lot.status == status), key=lambda lot: lot.rule_two
        )

    def expire(self, instant: int) -> None:
        ending = [lot for lot in self.in_order("active") if lot.expires_at == instant]
        unused = [
            lot
            for lot in self.in_order("pending")
            if lot.activates_at == instant and lot.expires_at <= lot.activates_at
        ]
        for lot in sorted(ending + unused, key=lambda lot: lot.rule_two):
            lot.status = "gone"
            if lot.left:
                name = "expiry:" + lot.row.id
                self.balance -= lot.left
                self.outcome.expired += lot.left
                self.outcome.history.append((name, -lot.left, 0, self.balance))
                self.outcome.expiry_at[name] = instant
                self.outcome.unposted[name] = lot.left
                lot.lapsed, lot.left = True, 0

    def activate(self, instant: int) -> None:
        for lot in self.in_order("pending"):
            if lot.activates_at != instant:
                continue
            lot.status = "active"
            for debt in self.debts:
                piece = min(debt[1], lot.left)
                debt[1] -= piece
                self.take(debt[0], lot, piece, instant, 1)

    def take(self, row: Posted, lot: Lot, points: int, at: int, kind: int) -> None:
        if points:
            lot.left -= points
            self.outcome.allocations.append((row.id, lot.row.id, points, at, kind))

    def use(self, row: Posted, lots: list[Lot], demand: int, kind: int) -> int:
        for lot in lots:
            piece = min(demand, lot.left)
            demand -= piece
            lot.lapsed |= kind == 2 and piece > 0
            self.take(row, lot, piece, row.created_at, kind)
        return demand

    def debit(self, row: Posted) -> None:
        if row.type == "expired":
            self.post_expiry(row)
            return
        demand = -row.points
        if demand:
            if not self.lots:
                self.problem(row, "debit_before_any_earn")
            if row.type == "earned_reversed":
                demand = self.reverse(row, demand)
            demand = self.use(row, self.in_order("active"), demand, 0)
            self.debts.append([row, demand])
        self.note(row, row.points)

    def reverse(self, row: Posted, demand: int) -> int:
        lot = None if row.related is None else self.lots.get(row.related)
        if lot is None:
            self.problem(row, "reversal_target_missing")
            return demand
        if lot.reversed and lot.reversed + demand > lot.row.points:
            self.problem(row, "reversal_target_doubled")
        lot.reversed += demand
        if lot.lapsed and lot.left < demand:
            self.problem(row, "reversal_of_expired")
        return self.use(row, [lot], demand, 0)

    def post_expiry(self, row: Posted) -> None:
        demand = -row.points
        out = self.outcome
        if row.related is None:
            expiries, lots = list(out.unposted), self.in_order("active")
        else:
            lot = self.lots.get(row.related)
            if lot is None:
                self.problem(row, "expiry_target_missing")
            expiries = [name for name in out.unposted if name == "expiry:" + row.related]
            lots = [lot] if lot and lot.status == "active" else []
        confirmed = 0
        for name in expiries:
            piece = min(out.unposted[name], demand - confirmed)
            out.unposted[name] -= piece
            confirmed += piece
        uncovered = self.use(row, lots, demand - confirmed, 2)
        excess = demand - confirmed - uncovered
        out.expired += excess
        if uncovered:
            out.uncovered[row.id] = uncovered
            self.problem(row, "expired_more_than_outstanding")
        self.note(row, -excess, confirmed)
