"""Ledgers as an accountant would write them, one row a line:

A earned 100 on 01-01 activates 01-15 expires 12-31
R redeemed -60 on 02-15 of A account c

Days are of 2026; points are whole.
"""

from __future__ import annotations

from datetime import UTC, datetime

from tests.ledger.reference import Posted


def day(text: str) -> int:
    """Midnight UTC of a day of 2026 (`03-01`), in microseconds since the epoch."""
    return int(datetime.fromisoformat(f"2026-{text}T00:00:00+00:00").astimezone(UTC).timestamp()) * 1_000_000


def ledger(text: str) -> list[Posted]:
    rows = []
    for line in filter(None, (line.strip() for line in text.splitlines())):
        name, kind, points, *rest = line.split()
        words = dict(zip(rest[::2], rest[1::2], strict=True))
        instants = {word: day(words[word]) for word in ("on", "activates", "expires") if word in words}
        assert words.keys() <= {"on", "activates", "expires", "of", "account"}
        rows.append(
            Posted(
                id=name,
                type=kind,
                points=int(points) * 100,
                created_at=instants["on"],
                activates_at=instants.get("activates"),
                expires_at=instants.get("expires"),
                related=words.get("of"),
                account=words.get("account", "a"),
            )
        )
    return rows
