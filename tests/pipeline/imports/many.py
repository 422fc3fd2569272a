"""Many members, files of many rows, and what becomes of each row, worked out one by one in plain Python. Helpers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from include.snapshots import canonical
from tests.pipeline.imports.desk import CLUB, START, fill

HELD = 10  # points of every second member before
UNKNOWN = "no customer has this id or e-mail address"
NOT_POINTS = "points: points are digits, with at most two decimals after a point, such as 100 or -12.50"


@dataclass
class File:
    """A file, and of each row: line, customer, points, status, message, balances before and after."""

    text: str
    rows: list[tuple[Any, ...]] = field(default_factory=list)

    def counts(self) -> Counter[str]:
        return Counter(status for _, _, _, status, *_ in self.rows)


def fill_many(url: str, members: int) -> None:
    """Make a ledger of members m0, m1, ..., of whom every second one has 10 points."""
    fill(url, [])
    tables = canonical.METADATA.tables
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        people = [{"customer_id": f"m{n}", "email": f"M{n}@x.example"} for n in range(members)]
        connection.execute(tables["customers"].insert(), people)
        row = {"program_id": CLUB, "type": "earned", "points": Decimal(HELD), "created_at": START}
        lots = [{**row, "transaction_id": f"t{n}", "customer_id": f"m{n}"} for n in range(members) if held(n)]
        connection.execute(tables["transactions"].insert(), lots)
    engine.dispose()


def held(member: int) -> int:
    return HELD if member % 2 == 0 else 0


def added(rows: int, members: int, *, wrong: bool) -> File:
    """A file that adds points; the rows of a member lie far apart. wrong: some name nobody, some have no points."""
    balances = {member: held(member) for member in range(members)}
    lines, made = ["customer_id,email,points,reason"], File("")
    for at in range(rows):
        member, points = at * 7919 % members, at % 50 - 20
        who, mail = (f"m{member}", "") if at % 3 else ("", f"m{member}@x.EXAMPLE")
        said, status, message = f"{points}.00", "done", ""
        if wrong and at % 13 == 5:
            who, mail, status, message = f"nobody{at}", "", "wrong", UNKNOWN
        if wrong and at % 17 == 3:
            said, status, message = f"x{at}", "wrong", NOT_POINTS.replace(":", f" 'x{at}':", 1)
        elif points == 0 and status == "done":
            status, message = "skipped", "0 points: there is nothing to book"
        lines.append(f"{who},{mail},{said},row {at}")
        before = after = None
        if status != "wrong":
            before = balances[member]
            after = balances[member] = before + (points if status == "done" else 0)
        booked = points if status == "done" else None
        made.rows.append((at + 2, who or f"m{member}", booked, status, message, before, after))
    made.text = "\n".join(lines) + "\n"
    return made


def reset(members: int) -> File:
    """A file that sets the balance of every member."""
    lines, made = ["customer_id,points"], File("")
    for member in range(members):
        before, after = held(member), member % 40
        status, message = ("skipped", "the balance is this already") if before == after else ("done", "")
        points = after - before or None
        lines.append(f"m{member},{after}")
        made.rows.append((member + 2, f"m{member}", points, status, message, before, after))
    made.text = "\n".join(lines) + "\n"
    return made
