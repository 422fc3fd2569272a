"""Charts of points: what there is, what moved, what will expire."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from include.charts.bridge import Bridge, Step
from include.charts.columns import Columns, Part
from include.charts.lines import Line, Lines
from include.charts.words import exact, full_day
from include.pipeline.dashboards.chart import Asked, Chart, first_day, points
from include.pipeline.dashboards.stretches import note_of, point_labels, summed
from include.pipeline.dashboards.table import Column, Kind, Table

_REST = " The lighter column is the rest of a month."
_BY_HAND = (
    "By hand: rows that name no rule, and that somebody entered or imported; all others are by rules. Adjustments up "
    "count as earned, those down as redeemed; what was taken or given back later is not subtracted."
)
_HELD = {"active": "Active", "pending": "Pending", "expired": "Expired so far"}
_MOVED = {
    "earned": ("Earned", 1),
    "earned_reversed": ("Earned, taken back", -1),
    "redeemed": ("Redeemed", -1),
    "refunded": ("Redeemed, given back", 1),
    "adjusted": ("Adjusted", 1),
    "transferred_in": ("Transferred in", 1),
    "transferred_out": ("Transferred out", -1),
    "expired": ("Expired", -1),
}
_GIVEN = {
    "earned_rules": ("Earned by rules", "s1", 1),
    "earned_manual": ("Earned by hand", "s3", 1),
    "redeemed_rules": ("Redeemed by rules", "s2", -1),
    "redeemed_manual": ("Redeemed by hand", "s4", -1),
}


def held(asked: Asked) -> Chart:
    """Return active, pending and expired points at the end of each day."""
    rows = asked.days("points")
    lines = tuple(Line(title, tuple(points(row, name) for row in rows)) for name, title in _HELD.items())
    table = Table(
        (Column("Day", Kind.DAY), *(Column(title, unit="points") for title in _HELD.values())),
        tuple((date.fromisoformat(row["date"]), *(row[name] for name in _HELD)) for row in rows),
    )
    labels = point_labels([date.fromisoformat(row["date"]) for row in rows])
    says = "No day of the frame is in the file."
    if rows:
        told = [f"{exact(line.values[-1] or 0)} {line.name.lower()}" for line in lines]
        says = f"{', '.join(told)} on {full_day(asked.frame.days.last)}."
    drawing = Lines("points", labels, lines) if rows else None
    return Chart(
        "points", "Active, pending and expired points", says, str(asked.frame.days), asked.figures.source("points"),
        table, drawing,
    )  # fmt: skip


def bridge(asked: Asked) -> Chart:
    """Return what led from the points at the beginning of the frame to those at its end."""
    rows = asked.days("rollforward")
    opening = points(rows[0], "opening") if rows else Decimal(0)
    closing = points(rows[-1], "closing") if rows else Decimal(0)
    sums = {
        title: sign * sum((points(row, name) for row in rows), Decimal(0))
        for name, (title, sign) in _MOVED.items()
    }
    steps = tuple(Step(title, value) for title, value in sums.items() if value)
    first, last = Step("Opening", opening), Step("Closing", closing)
    # The picture leaves out what did not move; so that each of its rows has one of the table, so does the table.
    table = Table(
        (Column("Movement", Kind.TEXT), Column("Points")),
        tuple((step.name, Decimal(step.value)) for step in (first, *steps, last)),
    )
    says = f"From {exact(opening)} to {exact(closing)} points: {_difference(closing - opening)}."
    return Chart(
        "bridge", "What moved the points", says, str(asked.frame.days), asked.figures.source("rollforward"), table,
        Bridge("points", first, steps, last) if rows else None,
        note="Outstanding points less debt; the sums of the days in the file.",
    )  # fmt: skip


def earned_redeemed(asked: Asked) -> Chart:
    """Return points given and taken, by rules and by people apart."""
    found, sums = summed(asked, "earned-redeemed", tuple(_GIVEN))
    parts = tuple(
        Part(title, tone, tuple(sign * row[index] for row in sums))
        for index, (title, tone, sign) in enumerate(_GIVEN.values())
    )
    table = Table(
        (*found.columns, *(Column(title, unit="points") for title, _, _ in _GIVEN.values())),
        tuple((*found.named(index), *row) for index, row in enumerate(sums)),
    )
    given = sum((row[0] + row[1] for row in sums), Decimal(0))
    taken = sum((row[2] + row[3] for row in sums), Decimal(0))
    return Chart(
        "earned-redeemed", f"Earned against redeemed by {'month' if found.by_month else 'day'}",
        f"{exact(given)} points earned, {exact(taken)} redeemed; adjustments are with them.", str(asked.frame.days),
        asked.figures.source("earned-redeemed"), table, Columns("points", found.labels, parts, found.cut),
        note=f"{_BY_HAND} {note_of(found)}".strip(),
    )  # fmt: skip


def expiry(asked: Asked) -> Chart:
    """Return the points that will expire in the coming months if nothing is added or used."""
    rows = asked.rows("expiry")
    values = tuple(points(row, "points_expiring") for row in rows)
    table = Table(
        (
            Column("Month", Kind.TEXT),
            Column("Expiring", unit="points"),
            Column("Left at its end", unit="points"),
        ),
        tuple((row["month"], row["points_expiring"], row["closing"]) for row in rows),
    )
    begun = asked.figures.last_day.month == first_day(rows[0]["month"]).month if rows else False
    largest = max(rows, key=lambda row: points(row, "points_expiring"), default=None)
    says = "Nothing is in the file."
    if largest is not None:
        says = (
            f"{exact(sum(values, Decimal(0)))} points will expire, most of them "
            f"({exact(points(largest, 'points_expiring'))}) in {first_day(largest['month']):%B %Y}."
        )
    labels = tuple(f"{first_day(row['month']):%b %y}" for row in rows)
    return Chart(
        "expiry", "Points that will expire", says, f"after {full_day(asked.figures.last_day)}",
        asked.figures.source("expiry"), table,
        Columns("points", labels, (Part("Expiring", "s2", values),), frozenset({0} if begun else ())) if rows else None,
        note=f"If nothing is earned or used from now on.{_REST if begun else ''}",
    )  # fmt: skip


def _difference(points_count: Decimal) -> str:
    if points_count == 0:
        return "no change"
    return f"{exact(abs(points_count))} {'more' if points_count > 0 else 'less'}"
