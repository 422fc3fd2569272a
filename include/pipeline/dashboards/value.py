"""Charts of what points are worth: liability, what was redeemed for which reward, and how fast cohorts redeem."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime
from decimal import Decimal

from include.charts.bars import Bar, Bars
from include.charts.columns import Columns, Part
from include.charts.heat import Heat
from include.charts.heat import Row as HeatRow
from include.charts.words import exact, full_day, money, percent
from include.definitions.zones import last_day_before
from include.pipeline.dashboards.chart import MOST_BARS, Asked, Chart, first_day, not_all, points
from include.pipeline.dashboards.reading import Row
from include.pipeline.dashboards.table import Column, Kind, Table

_MONTHS = 13  # that are drawn
_NOTHING = "The file holds no month that ended by then."
_NO_REWARD = "Without a reward"


def liability(asked: Asked) -> Chart:
    """Return the money owed for points at the end of each month."""
    rows = _months(asked)
    currency = str(rows[-1]["currency"]) if rows else ""
    values = tuple(points(row, "liability_closing") for row in rows)
    table = Table(
        (
            *_MONTH_COLUMNS,
            Column("Liability", unit=currency),
            Column("Method", Kind.TEXT),
            Column("Redemption rate", Kind.SHARE),
        ),
        tuple(
            (row["month"], _end(asked, row), row["liability_closing"], row["method"], row["redemption_rate"])
            for row in rows
        ),
    )
    says = _NOTHING
    if rows:
        says = f"{money(values[-1])} {currency} on {full_day(_end(asked, rows[-1]))}, by {_method(rows[-1])}."
    return Chart(
        "liability", "Liability at the end of each month", says, _span(asked, rows), asked.figures.source("liability"),
        table, _columns(asked, rows, currency, "Liability", "s1", values), note=_note(asked, rows),
    )  # fmt: skip


def outstanding(asked: Asked) -> Chart:
    """Return the points that liability is owed for at the end of each month."""
    rows = _months(asked)
    values = tuple(points(row, "outstanding") for row in rows)
    table = Table(
        (*_MONTH_COLUMNS, Column("Outstanding", unit="points"), Column("Debt", unit="points")),
        tuple((row["month"], _end(asked, row), row["outstanding"], row["debt"]) for row in rows),
    )
    says = (
        f"{exact(values[-1])} points on {full_day(_end(asked, rows[-1]))}."
        if rows
        else "Nothing is in the file."
    )
    return Chart(
        "outstanding", "Outstanding points at the end of each month", says, _span(asked, rows),
        asked.figures.source("liability"), table, _columns(asked, rows, "points", "Outstanding", "s3", values),
        note=_note(asked, rows),
    )  # fmt: skip


def rewards(asked: Asked) -> Chart:
    """Return what points were redeemed for."""
    sums: defaultdict[tuple[str, str], list[Decimal]] = defaultdict(lambda: [Decimal(0)] * 3)
    for row in asked.days("rewards"):
        into = sums[row["reward_id"] or "", row["reward_name"] or row["reward_id"] or _NO_REWARD]
        for index, name in enumerate(("redemptions", "points_cost", "points_refunded")):
            into[index] += points(row, name)
    lines = sorted(sums.items(), key=lambda item: (-item[1][1], item[0]))
    table = Table(
        (
            Column("Reward", Kind.TEXT), Column("Id", Kind.TEXT), Column("Redemptions"),
            Column("Redeemed", unit="points"), Column("Given back", unit="points"),
        ),
        tuple((name, key, int(count), cost, back) for (key, name), (count, cost, back) in lines),
    )  # fmt: skip
    bars = tuple(
        Bar(name, cost, f"{exact(cost)} in {exact(count)}", "s2", lighter=min(back, cost))
        for (_, name), (count, cost, back) in lines[:MOST_BARS]
    )
    total, count = (sum((line[1][index] for line in lines), Decimal(0)) for index in (1, 0))
    times = "1 redemption" if count == 1 else f"{exact(count)} redemptions"
    note = "Beside each bar: the points, and in how many redemptions." if lines else ""
    if any(line[1][2] for line in lines):
        note += " The lighter part was given back since."
    note = f"{not_all(len(lines))} {note}".strip()
    return Chart(
        "rewards", "Redeemed by reward", f"{exact(total)} points redeemed in {times}.",
        str(asked.frame.days), asked.figures.source("rewards"), table, Bars("points", bars) if bars else None, note,
    )  # fmt: skip


def cohorts(asked: Asked) -> Chart:
    """Return which share of the points of each issue month was redeemed by each age."""
    by_month: defaultdict[str, list[Row]] = defaultdict(list)
    for row in asked.rows("cohorts"):
        by_month[row["issue_month"]].append(row)
    table = Table(
        (
            Column("Issued in", Kind.TEXT), Column("Age", unit="months"), Column("Issued", unit="points"),
            Column("Redeemed", unit="points"), Column("Share redeemed", Kind.SHARE),
        ),
        tuple(
            (month, row["age_months"], row["issued"], row["redeemed"], row["share_redeemed"])
            for month, rows in by_month.items() for row in rows
        ),
    )  # fmt: skip
    heat = Heat(
        "Months since the issue month",
        tuple(
            HeatRow(f"{first_day(month):%b %Y}", tuple(_share(row) for row in rows))
            for month, rows in by_month.items()
        ),
    )
    says = "Nothing is in the file."
    shares = [
        (share, row) for rows in by_month.values() for row in rows[-1:] if (share := _share(row)) is not None
    ]
    if shares:
        share, row = max(shares, key=lambda each: each[0])
        month = first_day(row["issue_month"])
        says = f"Up to {percent(share)} of a month's points are redeemed so far ({month:%B %Y})."
    return Chart(
        "cohorts", "Percent redeemed by issue month and age", says, f"until {full_day(asked.figures.last_day)}",
        asked.figures.source("cohorts"), table, heat if by_month else None, keeps_width=True,
        note="Points earned in the month, and adjusted upwards, less what was taken back; months are those of the "
        "program's time zone. Refunds are subtracted, so a share can fall. The last cell of each row is until "
        f"{full_day(asked.figures.last_day)}." if by_month else "",
    )  # fmt: skip


_MONTH_COLUMNS = (Column("Month", Kind.TEXT), Column("On", Kind.DAY))


def _months(asked: Asked) -> list[Row]:
    """Return the last months up to the end of the frame; of one that goes on then, the file knows nothing."""
    rows = [row for row in asked.rows("liability") if _end(asked, row) <= asked.frame.days.last]
    return rows[-_MONTHS:]


def _columns(
    asked: Asked, rows: list[Row], unit: str, title: str, tone: str, values: tuple[Decimal, ...]
) -> Columns | None:
    if not rows:
        return None
    labels = tuple(f"{first_day(row['month']):%b %y}" for row in rows)
    faint = {len(rows) - 1} if _goes_on(asked, rows) else ()
    return Columns(unit, labels, (Part(title, tone, values),), frozenset(faint))


def _note(asked: Asked, rows: list[Row]) -> str:
    if not _goes_on(asked, rows):
        return ""
    return f"The lighter column is of {full_day(_end(asked, rows[-1]))}: its month is not over."


def _goes_on(asked: Asked, rows: list[Row]) -> bool:
    if not rows:
        return False
    month = first_day(rows[-1]["month"])
    # The first day after the period lies in the same month.
    return datetime.fromisoformat(rows[-1]["period_end"]).astimezone(asked.figures.where).month == month.month


def _span(asked: Asked, rows: list[Row]) -> str:
    return f"until {full_day(_end(asked, rows[-1]))}" if rows else str(asked.frame.days)


def _end(asked: Asked, row: Row) -> date:
    """Return the last day of a month that the file has figures of."""
    return last_day_before(datetime.fromisoformat(row["period_end"]), asked.figures.where)


def _method(row: Row) -> str:
    return {"cost": "cost", "deferred_revenue": "deferred revenue"}.get(row["method"], str(row["method"]))


def _share(row: Row) -> Decimal | None:
    return None if row["share_redeemed"] is None else Decimal(row["share_redeemed"])
