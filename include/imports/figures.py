"""The figures of a rehearsal: sums over `loyalty_effects`, the tiers and the liability of what it touches."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

import pyarrow as pa

from include.imports.bench import Bench
from include.imports.effects import LiabilityEffect, Rehearsal, RowStatus, TierEffect
from include.imports.outcome import several_rows
from include.imports.sessions import Session, literal
from include.imports.staging import NUMBER, TEXT
from include.ledger.liability import money_step, rounded
from include.state.tables import microseconds

# Of every row: what is booked, on which account, and what that held before. Points are hundredths.
EFFECTS = pa.schema(
    [
        *((name, TEXT) for name in ("spread", "customer", "card", "subledger", "tier")),
        *((name, NUMBER) for name in ("points", "usable", "held", "pending_before")),
    ]
)
_TOUCHED = pa.schema(
    [
        *((name, TEXT) for name in ("spread", "tier", "customer")),
        *((name, NUMBER) for name in ("points", "held", "after", "pending_before", "pending_after")),
    ]
)


def figures(
    session: Session, bench: Bench, program: str, counts: Counter[str], notes: tuple[str, ...], digest: str
) -> Rehearsal:
    """Return what posting would do, from `loyalty_effects`. program: empty where no points move.

    counts: how many rows have each status.
    """
    plain: dict[str, Any] = {
        "at": session.now,
        "rows": counts.total(),
        **{status.value: counts[status] for status in RowStatus},
        "members": bench.sums("SELECT count(DISTINCT customer) FROM loyalty_effects", 1)[0],
        "notes": notes,
        "digest": digest,
    }
    if not program:
        return Rehearsal(**plain)
    _accounts(bench)
    return Rehearsal(
        **plain, **_sums(bench), tiers=_tiers(bench, program), liability=_liability(session, bench, program)
    )


def _accounts(bench: Bench) -> None:
    """Make `loyalty_touched`: every account that rows are booked on, before and after.

    Points that are usable repay a debt first, so outstanding grows by what is left of them.
    """
    usable = "CASE WHEN usable = 1 THEN points ELSE 0 END"
    pending = "CASE WHEN usable = 0 THEN points ELSE 0 END"
    held = "spread, tier, customer, held, pending_before"
    columns = f"{held}, points, {usable} AS usable_points, {pending} AS pending_points"
    grouped = ""
    if several_rows(bench):
        one = ", ".join(f"min({name}) AS {name}" for name in held.split(", "))
        columns = (
            f"{one}, sum(points) AS points, sum({usable}) AS usable_points, sum({pending}) AS pending_points"
        )
        grouped = " GROUP BY card, CASE WHEN card IS NULL THEN customer END, subledger"
    found = bench.query(
        "SELECT spread, tier, customer, points, held, held + usable_points AS after, pending_before, "
        f"pending_before + pending_points AS pending_after FROM (SELECT {columns} FROM loyalty_effects{grouped}) sums",
        _TOUCHED,
    )
    bench.fill("loyalty_touched", _TOUCHED, bench.hashed("spread", bench.rows("loyalty_effects")), found)


def _sums(bench: Bench) -> dict[str, Any]:
    names = ("balance_before", "balance_after", "pending_before", "pending_after")
    below = "CASE WHEN after < 0 THEN 1 ELSE 0 END"
    accounts, *sums, debts = _totals(
        bench, "loyalty_touched", ["1", "held", "after", "pending_before", "pending_after", below]
    )
    moved = [f"CASE WHEN points {sign} 0 THEN points ELSE 0 END" for sign in "><"]
    points = _totals(bench, "loyalty_effects", moved)
    more = {"points_in": hundredths(points[0]), "points_out": hundredths(points[1])}
    return {
        "accounts": accounts,
        "debts": debts,
        **dict(zip(names, map(hundredths, sums), strict=True)),
        **more,
    }


def _totals(bench: Bench, rows: str, values: list[str]) -> list[int]:
    """Return sums over rows; 0 over nothing."""
    sums = (f"coalesce(CAST(sum({each}) AS BIGINT), 0) AS n{at}" for at, each in enumerate(values))
    return bench.sums(f"SELECT {', '.join(sums)} FROM {rows}", len(values))


def _tiers(bench: Bench, program: str) -> tuple[TierEffect, ...]:
    sql = (
        "SELECT tier, count(DISTINCT customer) AS members, CAST(sum(points) AS BIGINT) AS points "
        "FROM loyalty_touched GROUP BY tier"
    )
    sums: dict[str | None, list[int]] = {}
    for tier, members, points in bench.all(sql, tier=TEXT, members=NUMBER, points=NUMBER):
        held = sums.setdefault(tier, [0, 0])
        held[0], held[1] = held[0] + members, held[1] + points
    return tuple(
        TierEffect(program_id=program, tier=tier, members=members, points=hundredths(points))
        for tier, (members, points) in sorted(sums.items(), key=lambda one: (one[0] is None, one[0] or ""))
    )


def _liability(session: Session, bench: Bench, program: str) -> tuple[LiabilityEffect, ...]:
    sides = (("held", "pending_before"), ("after", "pending_after"))
    owed = [f"greatest({held}, 0) + {pending}" for held, pending in sides]
    before, after = _totals(bench, "loyalty_touched", owed)
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
