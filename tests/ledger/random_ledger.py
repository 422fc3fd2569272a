"""Random ledgers of one account, made to collide: few instants, small points, every kind of broken reference."""

from __future__ import annotations

from random import Random

from tests.ledger.reference import Posted

NAMES = [*"abcdefghijklmnopqrstuvwxyzABCDEFGHIJ", "é", "\U0001f600", "\uffff", "", "aa", "aé", "a\x00"]
TYPES = [
    *["earned"] * 6,
    *["redeemed"] * 4,
    *["earned_reversed"] * 3,
    *["expired"] * 3,
    *["redemption_refunded", "adjusted", "adjusted", "transferred_in", "transferred_out"],
]
LOTS = {"earned", "redemption_refunded", "transferred_in"}


def random_ledger(random: Random, account: str, *, most_rows: int = 24) -> list[Posted]:
    """Up to `most_rows` rows at instants from 0 up to at most 40, in no order, ids not in time order."""
    span = random.choice([1, 3, 10, 40])
    names = random.sample(NAMES, random.randint(1, most_rows))
    rows = []
    for name in names:
        kind = random.choice(TYPES)
        created_at = random.randint(0, span)
        points = 0 if random.randint(0, 19) == 0 else random.randint(1, random.choice([3, 10, 30]))
        brings = kind in LOTS or (kind == "adjusted" and random.randint(0, 1) == 0)
        rows.append(
            Posted(
                id=name,
                type=kind,
                points=points if brings else -points,
                created_at=created_at,
                activates_at=created_at + random.randint(-2, 6) if random.randint(0, 1) else None,
                expires_at=created_at + random.randint(-3, 15) if random.randint(0, 4) else None,
                related=_related(random, kind, names),
                account=account,
            )
        )
    return rows


def _related(random: Random, kind: str, names: list[str]) -> str | None:
    """Mostly a row of this account, of any kind, before or after; sometimes nothing, or nobody's row."""
    if kind == "expired" and random.randint(0, 1):
        return None
    return random.choice([None, "nobody", *(random.choice(names) for _ in range(6))])
