"""The pipeline that a user would write with pandas in an afternoon, for comparison and as a check of the numbers.

It reads with read_sql, sorts and groups in memory, replays lots account by account in plain Python by the rules of
docs/ledger.md section 3, and writes gzipped CSV. It holds everything in memory. It was written from the rules, not
from the engine, so that equal numbers mean something.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import sqlalchemy as sa

NEVER = 2**63 - 1
DEFAULT = [
    "transaction_id", "program_id", "subledger_id", "customer_id", "card_id", "type", "points",
    "created_at", "activates_at", "expires_at", "related_transaction_id", "recorded_at",
]  # fmt: skip
ALL = [
    *DEFAULT, "reason", "order_id", "reward_id", "campaign_id", "source", "source_id", "admin_user", "import_id",
    "rule_name", "details",
]  # fmt: skip
PROFILES = {"default": DEFAULT, "all": ALL}
CREATIONS = {"earned", "redemption_refunded", "transferred_in"}


def micros(series: pd.Series) -> np.ndarray:
    """Instants as microseconds since the epoch; missing ones as NEVER."""
    values = pd.to_datetime(series, utc=True).dt.as_unit("us")
    return values.astype("int64").where(values.notna(), NEVER).to_numpy()


@dataclass
class Lot:
    index: int
    expires: int
    activates: int
    remaining: int
    unposted: int = 0  # expired by rule 3 or 7 and not yet confirmed by a posted row
    state: str = "pending"

    def __lt__(self, other: Lot) -> bool:
        return (self.expires, self.activates, self.index) < (other.expires, other.activates, other.index)


@dataclass
class Account:
    """One account's replay: lots in two heaps, debts in a queue."""

    lots: dict[int, Lot] = field(default_factory=dict)
    usable: list[Lot] = field(default_factory=list)
    waiting: list[tuple[int, Lot]] = field(default_factory=list)
    debts: deque[list[int]] = field(default_factory=deque)
    expired_lots: deque[Lot] = field(default_factory=deque)
    balance: int = 0
    debt: int = 0
    expired: int = 0
    expiries: list[tuple[int, int, int, int]] = field(
        default_factory=list
    )  # lot, instant, points, balance after

    def advance(self, until: int, inclusive: bool) -> None:
        while True:
            while self.usable and (self.usable[0].remaining == 0 or self.usable[0].state != "active"):
                heapq.heappop(self.usable)
            while self.waiting and self.waiting[0][1].remaining == 0:
                heapq.heappop(self.waiting)
            expiry = self.usable[0].expires if self.usable else NEVER
            waiting = self.waiting[0][0] if self.waiting else NEVER
            instant = min(expiry, waiting)
            if instant == NEVER or instant > until or (instant == until and not inclusive):
                return
            due = []
            while self.waiting and self.waiting[0][0] == instant:
                due.append(heapq.heappop(self.waiting)[1])
            dying = [lot for lot in due if lot.expires <= lot.activates]
            while self.usable and self.usable[0].expires == instant:
                dying.append(heapq.heappop(self.usable))
            for lot in sorted(dying):
                self.expire(lot, instant)
            for lot in sorted(lot for lot in due if lot.expires > lot.activates):
                lot.state = "active"
                while self.debts and lot.remaining:
                    paid = min(self.debts[0][0], lot.remaining)
                    self.debts[0][0] -= paid
                    lot.remaining -= paid
                    self.debt -= paid
                    if not self.debts[0][0]:
                        self.debts.popleft()
                heapq.heappush(self.usable, lot)

    def expire(self, lot: Lot, instant: int) -> None:
        if lot.remaining == 0:
            return
        lot.state = "expired"
        lot.unposted = lot.remaining
        self.expired += lot.remaining
        self.balance -= lot.remaining
        self.expiries.append((lot.index, instant, lot.remaining, self.balance))
        self.expired_lots.append(lot)
        lot.remaining = 0

    def take(self, points: int) -> int:
        while points and self.usable:
            lot = self.usable[0]
            if lot.remaining == 0 or lot.state != "active":
                heapq.heappop(self.usable)
                continue
            used = min(points, lot.remaining)
            lot.remaining -= used
            points -= used
        return points

    def post_expired(self, points: int, named: Lot | None, names_one: bool) -> tuple[int, int]:
        """Return (confirmed, excess) of a posted `expired` row."""
        confirmed = 0
        for lot in [named] if named else [] if names_one else list(self.expired_lots):
            part = min(points, lot.unposted)
            lot.unposted -= part
            points -= part
            confirmed += part
        while self.expired_lots and not self.expired_lots[0].unposted:
            self.expired_lots.popleft()
        if names_one:
            usable = named is not None and named.state == "active"
            excess = min(points, named.remaining) if usable else 0
            if excess:
                named.remaining -= excess
        else:
            excess = points - self.take(points)
        self.expired += excess
        self.balance -= excess
        return confirmed, excess


def replay(frame: pd.DataFrame, at: int) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return (history with derived expiries, accounts, lots) at `at`; frame is sorted by account and time."""
    history_change = np.zeros(len(frame), np.int64)
    history_after = np.zeros(len(frame), np.int64)
    remaining = np.zeros(len(frame), np.int64)
    expiries: list[tuple[int, int, int, int]] = []
    accounts: list[tuple[object, ...]] = []
    types = frame["type"].to_numpy()
    points = frame["hundredths"].to_numpy()
    created, activates, expires = (frame[name].to_numpy() for name in ("created", "activates", "expires"))
    ids = frame["transaction_id"].to_numpy()
    related = frame["related_transaction_id"].to_numpy()
    groups = frame.groupby(["program_id", "subledger_id", "holder_kind", "holder_id"], sort=False).indices
    for key, rows in groups.items():
        account, by_id = Account(), {}
        spent = earned = posted = 0
        last = -1
        for row in rows:
            instant, kind, change = int(created[row]), types[row], int(points[row])
            creation = kind in CREATIONS or (kind == "adjusted" and change > 0)
            account.advance(instant, inclusive=not creation)
            by_id[ids[row]] = row
            if kind != "expired":
                posted += change
                last = max(last, instant)
            if creation:
                lot = Lot(int(row), int(expires[row]), int(activates[row]), change)
                account.lots[int(row)] = lot
                heapq.heappush(account.waiting, (lot.activates, lot))
                account.balance += change
                earned += change if kind == "earned" else 0
                spent -= change if kind == "redemption_refunded" else 0
            elif kind == "expired":
                target = related[row]
                names_one = isinstance(target, str)
                named = account.lots.get(by_id.get(target, -1)) if names_one else None
                _, excess = account.post_expired(-change, named, names_one)
                change = -excess
            else:
                need = -change
                spent += need if kind == "redeemed" else 0
                if kind == "earned_reversed" and isinstance(related[row], str):
                    lot = account.lots.get(by_id.get(related[row], -1))
                    if lot is not None:
                        used = min(need, lot.remaining)
                        lot.remaining -= used
                        need -= used
                need = account.take(need)
                account.balance += change
                if need:
                    account.debt += need
                    account.debts.append([need])
            history_change[row] = change
            history_after[row] = account.balance
        account.advance(at, inclusive=True)
        active = pending = 0
        for lot in account.lots.values():
            remaining[lot.index] = lot.remaining
            if lot.activates > at:
                pending += lot.remaining
            else:
                active += lot.remaining
        expiries += account.expiries
        accounts.append((*key, active, pending, account.expired, spent, account.debt, earned, posted, last))
    names = [
        "active",
        "pending",
        "expired",
        "spent",
        "negative_balance",
        "lifetime_earned",
        "posted",
        "last_activity",
    ]
    balance = pd.DataFrame(
        accounts, columns=["program_id", "subledger_id", "holder_kind", "holder_id", *names]
    )
    history = frame.assign(points_change=history_change, balance_after=history_after)
    lot_rows = np.flatnonzero(np.isin(types, list(CREATIONS)) | ((types == "adjusted") & (points > 0)))
    lots = frame.iloc[lot_rows].assign(remaining=remaining[lot_rows])
    if expiries:
        index, instant, amount, after = map(np.asarray, zip(*expiries, strict=True))
        derived = frame.iloc[index].assign(
            transaction_id="expiry:" + frame["transaction_id"].iloc[index].astype(str),
            type="expired", created=instant, points_change=-amount, balance_after=after,
        )  # fmt: skip
        history = pd.concat([history, derived], ignore_index=True)
    return history, balance, lots


def read(url: str, as_of: datetime, profile: str) -> pd.DataFrame:
    """Read all rows before the as-of, sorted by account and section 3 order."""
    engine = sa.create_engine(url)
    columns = ", ".join(PROFILES[profile])
    with engine.connect() as connection:
        query = sa.text(f"SELECT {columns} FROM transactions WHERE created_at < :as_of")
        frame = pd.read_sql(query, connection, params={"as_of": as_of}, coerce_float=False)
    frame["hundredths"] = (frame["points"] * 100).astype("int64")
    frame["created"] = micros(frame["created_at"])
    frame["activates"] = np.maximum(
        np.where(frame["activates_at"].isna(), frame["created"], micros(frame["activates_at"])),
        frame["created"],
    )
    frame["expires"] = micros(frame["expires_at"])
    frame["subledger_id"] = frame["subledger_id"].fillna("")
    on_card = frame["card_id"].notna() & (frame["card_id"] != "")
    frame["holder_kind"] = np.where(on_card, "card", "customer")
    frame["holder_id"] = np.where(on_card, frame["card_id"], frame["customer_id"])
    creation = frame["type"].isin(CREATIONS) | ((frame["type"] == "adjusted") & (frame["hundredths"] > 0))
    frame["debit"] = ~creation
    order = ["program_id", "subledger_id", "holder_kind", "holder_id", "created", "debit", "transaction_id"]
    return frame.sort_values(order, ignore_index=True)


def projection(lots: pd.DataFrame, as_of: int, days: int = 31) -> pd.DataFrame:
    """Points expiring and activating on each of the next days, per account (no debts are expected to be repaid)."""
    day = 86_400_000_000
    left = lots[lots["remaining"] > 0]
    keys = ["program_id", "subledger_id", "holder_kind", "holder_id"]
    frames = []
    for name in ("expires", "activates"):
        coming = left[(left[name] > as_of) & (left[name] <= as_of + days * day)]
        number = (coming[name] - as_of - 1) // day
        frames.append(coming.assign(day=number).groupby([*keys, "day"])["remaining"].sum().rename(name))
    return pd.concat(frames, axis=1).fillna(0).astype("int64").reset_index()


def liability(opening: pd.DataFrame, closing: pd.DataFrame) -> pd.DataFrame:
    """Outstanding and debt per program at both ends."""
    columns = ["active", "pending", "negative_balance", "expired", "spent", "lifetime_earned"]
    both = [frame.groupby("program_id")[columns].sum() for frame in (opening, closing)]
    return both[0].join(both[1], lsuffix="_opening", rsuffix="_closing", how="outer").fillna(0).reset_index()


def run(url: str, start: datetime, as_of: datetime, out: Path, profile: str) -> dict[str, pd.DataFrame]:
    """Write the five reports as gzipped CSV below `out` and return their frames."""
    frame = read(url, as_of, profile)
    at, begin = (int(x.astimezone(UTC).timestamp()) * 1_000_000 for x in (as_of, start))
    history, balance, lots = replay(frame, at)
    _, opening, _ = replay(frame[frame["created"] < begin].reset_index(drop=True), begin)
    frames = {
        "balance": balance,
        "history": history,
        "lots": lots,
        "projection": projection(lots, at),
        "liability": liability(opening, balance),
    }
    out.mkdir(parents=True, exist_ok=True)
    for name, result in frames.items():
        result.to_csv(out / f"{name}.csv.gz", index=False, compression="gzip")
    return frames
