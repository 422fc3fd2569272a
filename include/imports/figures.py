"""The figures of a rehearsal: sums over `loyalty_outcome`, the tiers and the liability of what it touches."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from include.imports.effects import LiabilityEffect, Rehearsal, TierEffect
from include.imports.outcome import skipped
from include.imports.sessions import Session, literal
from include.ledger.liability import money_step, rounded
from include.state.tables import microseconds

_DONE = "code IS NULL"


def figures(session: Session, program: str, notes: tuple[str, ...], digest: str) -> Rehearsal:
    """Return what posting would do. program: empty where no points move."""
    counts = session.one(
        f"SELECT count(*) AS a, coalesce(sum(CASE WHEN {_DONE} THEN 1 ELSE 0 END), 0) AS b, "
        f"coalesce(sum(CASE WHEN code IN {skipped()} THEN 1 ELSE 0 END), 0) AS c, "
        f"count(DISTINCT CASE WHEN {_DONE} THEN customer END) AS d FROM loyalty_outcome"
    )
    rows, done, left_out, members = (int(each) for each in counts)
    plain: dict[str, Any] = {
        "at": session.now,
        "rows": rows,
        "done": done,
        "skipped": left_out,
        "wrong": rows - done - left_out,
        "members": members,
        "notes": notes,
        "digest": digest,
    }
    if not program:
        return Rehearsal(**plain)
    _accounts(session)
    return Rehearsal(
        **plain, **_sums(session), tiers=_tiers(session, program), liability=_liability(session, program)
    )


def _accounts(session: Session) -> None:
    """Make `loyalty_effects`: every account that rows are booked on, before and after.

    Points that are usable repay a debt first, so outstanding grows by what is left of them.
    """
    several = session.one("SELECT count(*) AS n FROM loyalty_accounts WHERE found > 1")[0] > 0
    usable = "CASE WHEN usable = 1 THEN points ELSE 0 END"
    pending = "CASE WHEN usable = 0 THEN points ELSE 0 END"
    held = "tier, customer, held, pending_before"
    columns = f"{held}, points, {usable} AS usable_points, {pending} AS pending_points"
    grouped = ""
    if several:
        one = ", ".join(f"min({name}) AS {name}" for name in held.split(", "))
        columns = (
            f"{one}, sum(points) AS points, sum({usable}) AS usable_points, sum({pending}) AS pending_points"
        )
        grouped = " GROUP BY holder_kind, holder, subledger"
    after = "held + usable_points"
    session.execute(
        f"CREATE TEMP {'TABLE' if several else 'VIEW'} loyalty_effects AS SELECT *, "
        f"{after} AS after, pending_before + pending_points AS pending_after, "
        "CASE WHEN held > 0 THEN held ELSE 0 END + pending_before AS outstanding_before, "
        f"CASE WHEN {after} > 0 THEN {after} ELSE 0 END + pending_before + pending_points AS outstanding_after "
        f"FROM (SELECT {columns} FROM loyalty_outcome WHERE {_DONE}{grouped}) sums"
    )


def _sums(session: Session) -> dict[str, Any]:
    names = ("balance_before", "balance_after", "pending_before", "pending_after")
    below = "CASE WHEN after < 0 THEN 1 ELSE 0 END"
    touched = ["held", "after", "pending_before", "pending_after", below]
    found = session.one(f"SELECT count(*) AS accounts, {_totals(touched)} FROM loyalty_effects")
    moved = [f"CASE WHEN points {sign} 0 THEN points ELSE 0 END" for sign in "><"]
    points = session.one(f"SELECT {_totals(moved)} FROM loyalty_outcome WHERE {_DONE}")
    sums = dict(zip(names, map(hundredths, found[1:5]), strict=True))
    more = {"points_in": hundredths(points[0]), "points_out": hundredths(points[1])}
    return {"accounts": int(found[0]), "debts": int(found[5]), **sums, **more}


def _totals(values: list[str]) -> str:
    """Return the columns of a query that sums these; whole numbers on both databases, 0 over nothing."""
    return ", ".join(f"coalesce(CAST(sum({each}) AS BIGINT), 0) AS t{at}" for at, each in enumerate(values))


def _tiers(session: Session, program: str) -> tuple[TierEffect, ...]:
    found = session.stream(
        "SELECT tier, count(DISTINCT customer) AS members, CAST(sum(points) AS BIGINT) AS points "
        "FROM loyalty_effects GROUP BY tier ORDER BY tier"
    )
    return tuple(
        TierEffect(
            program_id=program, tier=row["tier"], members=row["members"], points=hundredths(row["points"])
        )
        for batch in found
        for row in batch.to_pylist()
    )


def _liability(session: Session, program: str) -> tuple[LiabilityEffect, ...]:
    owed = _totals(["outstanding_before", "outstanding_after"])
    before, after = session.one(f"SELECT {owed} FROM loyalty_effects")
    there = session.columns("programs")
    step = "money_step" if "money_step" in there else "NULL"
    currency, stated = session.one(
        f"SELECT currency, {_exact(session, step, 4)} AS step FROM programs WHERE program_id = {literal(program)}"
    )
    cost = _cost(session, program)
    change = hundredths(after) - hundredths(before)
    smallest = money_step(currency, None if stated is None else Decimal(stated).scaleb(-4))
    money = None if cost is None else rounded(change * cost, smallest)
    return (
        LiabilityEffect(
            program_id=program,
            currency=currency,
            outstanding_before=hundredths(before),
            outstanding_after=hundredths(after),
            money=money,
        ),
    )


def _cost(session: Session, program: str) -> Decimal | None:
    """Return the cost per point that holds now, None where the ledger states none."""
    if "cost_per_point" not in session.columns("program_rates"):
        return None
    now = microseconds(session.now)
    since = "valid_from" if session.dialect == "sqlite" else "EXTRACT(EPOCH FROM valid_from) * 1000000"
    found = [
        row["cost"]
        for batch in session.stream(
            f"SELECT {_exact(session, 'cost_per_point', 8)} AS cost FROM program_rates WHERE program_id = "
            f"{literal(program)} AND {since} <= {now} ORDER BY valid_from DESC LIMIT 1"
        )
        for row in batch.to_pylist()
    ]
    return None if not found or found[0] is None else Decimal(found[0]).scaleb(-8)


def _exact(session: Session, column: str, places: int) -> str:
    """Return an exact number of the ledger as an integer of its last place, as SQLite keeps it."""
    return column if session.dialect == "sqlite" else f"({column} * {10**places})::bigint"


def hundredths(value: int) -> Decimal:
    """Return hundredths of a point as points."""
    return Decimal(value).scaleb(-2)
