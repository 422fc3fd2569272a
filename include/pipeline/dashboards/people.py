"""Charts of people: members, tiers, and who earned most."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal

from include.charts.bars import Bar, Bars
from include.charts.columns import Columns, Part
from include.charts.lines import Line, Lines
from include.charts.words import exact, full_day, signed
from include.pipeline.dashboards.chart import MOST_BARS, Asked, Chart, not_all, points
from include.pipeline.dashboards.frames import CUSTOM, WORDS, Days
from include.pipeline.dashboards.reading import Row
from include.pipeline.dashboards.stretches import note_of, point_labels, summed
from include.pipeline.dashboards.table import Column, Kind, Table, Value

_NOBODY = "No tier"


def members(asked: Asked) -> Chart:
    """Return how many customers have points at the end of each day."""
    rows = asked.days("members")
    values = tuple(row["total_members"] for row in rows)
    table = Table(
        (Column("Day", Kind.DAY), Column("Members", unit="customers")),
        tuple((date.fromisoformat(row["date"]), row["total_members"]) for row in rows),
    )
    labels = point_labels([date.fromisoformat(row["date"]) for row in rows])
    says = (
        f"{exact(values[-1])} members on {full_day(asked.frame.days.last)}."
        if values
        else "Nothing is in the file."
    )
    return Chart(
        "members", "Members", says, str(asked.frame.days), asked.figures.source("members"), table,
        Lines("customers", labels, (Line("Members", values),)) if rows else None,
        note="A member is a customer with active or pending points.",
    )  # fmt: skip


def new_members(asked: Asked) -> Chart:
    """Return how many customers had points for the first time."""
    found, sums = summed(asked, "members", ("new_members",))
    values = tuple(int(row[0]) for row in sums)
    table = Table(
        (*found.columns, Column("New members", unit="customers")),
        tuple((*found.named(index), value) for index, value in enumerate(values)),
    )
    return Chart(
        "new-members", f"New members by {'month' if found.by_month else 'day'}",
        f"{exact(sum(values))} customers had points for the first time.", str(asked.frame.days),
        asked.figures.source("members"), table,
        Columns("customers", found.labels, (Part("New members", "s3", values),), found.cut), note=note_of(found),
    )  # fmt: skip


def tiers(asked: Asked) -> Chart:
    """Return how many customers each tier has at the end of the frame, and how that changed since its beginning."""
    since = max(asked.frame.days.first - timedelta(days=1), asked.figures.first_day)
    days = Days(since, asked.frame.days.last)
    rows = asked.rows("tiers")
    subledgers = _subledgers(rows)
    started, held = (
        {
            f"{subledgers[row['subledger_id']]}{row['tier']}": row["customers"]
            for row in rows
            if row["date"] == f"{day}"
        }
        for day in (days.first, days.last)
    )
    lines = [(tier, count, count - started.get(tier, 0)) for tier, count in held.items()]
    table = Table(
        (
            Column("Tier", Kind.TEXT),
            Column("Customers", unit="customers"),
            Column(f"Change since {full_day(since)}", unit="customers"),
        ),
        tuple(lines),
    )
    bars = tuple(Bar(tier, count, f"{exact(count)} ({signed(moved)})", "s4") for tier, count, moved in lines)
    says = ", ".join(f"{tier} {exact(count)}" for tier, count, _ in lines) or "No customer has a tier"
    return Chart(
        "tiers", "Customers by tier", f"{says}.", full_day(days.last), asked.figures.source("tiers"), table,
        Bars("customers", bars) if bars else None,
        note=f"In brackets: the change since the end of {full_day(since)}.",
    )  # fmt: skip


def tier_moves(asked: Asked) -> Chart:
    """Return how many customers went from which tier to which."""
    moved: defaultdict[tuple[str, str], int] = defaultdict(int)
    subledgers = _subledgers(asked.rows("tier-moves"))
    for row in asked.days("tier-moves"):
        moved[
            f"{subledgers[row['subledger_id']]}{row['from_tier'] or _NOBODY}", row["to_tier"] or _NOBODY
        ] += row["customers"]
    lines = sorted(moved.items(), key=lambda item: (-item[1], item[0]))
    table = Table(
        (Column("From", Kind.TEXT), Column("To", Kind.TEXT), Column("Moves", unit="customers")),
        tuple((*ends, count) for ends, count in lines),
    )
    bars = tuple(Bar(f"{old} to {new}", count, exact(count), "s4") for (old, new), count in lines[:MOST_BARS])
    total = sum(moved.values())
    return Chart(
        "tier-moves", "Moves between tiers",
        f"{exact(total)} moves." if total else "Nobody moved from one tier to another.", str(asked.frame.days),
        asked.figures.source("tier-moves"), table, Bars("moves", bars) if bars else None, note=not_all(len(lines)),
    )  # fmt: skip


def top_earners(asked: Asked) -> Chart:
    """Return by whom most points were earned in the frame; names only for who may see them."""
    rows = [row for row in asked.rows("top-earners") if row["frame"] == asked.frame.kind]
    columns = [Column("Rank"), Column("Customer or card", Kind.TEXT), Column("Points earned", unit="points"),
               Column("Times")]  # fmt: skip
    lines: list[tuple[Value, ...]] = [
        (row["rank"], row["holder_id"], row["points_earned"], row["earning_count"]) for row in rows
    ]
    named = asked.personal and any(row.get("customer_name") for row in rows)
    if named:
        columns.insert(2, Column("Name", Kind.TEXT))
        lines = [(*line[:2], row["customer_name"], *line[2:]) for line, row in zip(lines, rows, strict=True)]
    bars = tuple(
        Bar(_who(row, named=named), points(row, "points_earned"), exact(points(row, "points_earned")))
        for row in rows[:MOST_BARS]
    )
    says = "The file names nobody who earned points in these days."
    if rows:
        together = sum((points(row, "points_earned") for row in rows), Decimal(0))
        says = f"The first {len(rows)} earned {exact(together)} points together."
    elif asked.frame.kind == CUSTOM:
        says = (
            f"The file has them for {', '.join(WORDS.values()).lower()}; for other days export top_earners."
        )
    return Chart(
        "top-earners", "Top 100 earners", says, str(asked.frame.days), asked.figures.source("top-earners"),
        Table(tuple(columns), tuple(lines)), Bars("points earned", bars) if bars else None,
        note=f"Points earned, less those taken back in the same days. {not_all(len(rows))}".strip(), holds_names=named,
    )  # fmt: skip


def _subledgers(rows: list[Row]) -> dict[str, str]:
    """Return what stands before a tier, by subledger: its name where the program has several."""
    found = {str(row["subledger_id"]) for row in rows}
    return {each: f"{each}: " if each and len(found) > 1 else "" for each in found}


def _who(row: Row, *, named: bool) -> str:
    return f"{row['rank']}. {row['customer_name'] if named and row['customer_name'] else row['holder_id']}"
