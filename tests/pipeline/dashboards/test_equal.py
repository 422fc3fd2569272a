"""Every chart says what the report's file says: to the hundredth, day by day, whatever the frame and the program."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from include.charts.words import full_day
from include.pipeline import Context
from include.pipeline.dashboards import Asked, Figures
from include.pipeline.dashboards.board import CHARTS
from include.reports import liability
from include.reports.model import LocalSnapshot
from tests.pipeline.dashboards.made import lines

FRAMES = [
    ("last_7_days", "", ""),
    ("previous_month", "", ""),
    ("last_12_months", "", ""),
    ("custom", "2026-03-20", "2026-04-05"),  # the clocks change
]
pytestmark = pytest.mark.slow


@pytest.fixture(params=FRAMES, ids=lambda each: each[0])
def wanted(request: Any, asked: Callable[..., Asked]) -> Asked:
    return asked(*request.param)


@pytest.fixture
def file(drawn_from: Context, figures: Figures) -> Callable[..., list[dict[str, Any]]]:
    def read(part: str, of: Asked | None = None, program: str = "club") -> list[dict[str, Any]]:
        rows = [row for row in lines(drawn_from, figures.run, part) if row["program_id"] == program]
        if of is None:
            return rows
        first, last = f"{of.frame.days.first}", f"{of.frame.days.last}"
        return [row for row in rows if first <= row["date"] <= last]

    return read


def as_csv(name: str, of: Asked) -> list[dict[str, str]]:
    """The rows that somebody downloads."""
    return list(csv.DictReader(io.StringIO(CHARTS[name](of).table.csv().decode(), newline="")))


def numbers(rows: list[dict[str, str]], *names: str) -> list[tuple[Decimal, ...]]:
    return [tuple(Decimal(row[name]) for name in names) for row in rows]


def test_points_at_the_end_of_each_day(wanted: Asked, file: Callable[..., Any]):
    found = as_csv("points", wanted)
    rows = file("points", wanted)
    assert [row["Day"] for row in found] == [row["date"] for row in rows]
    columns = ("Active (points)", "Pending (points)", "Expired so far (points)")
    assert numbers(found, *columns) == [(row["active"], row["pending"], row["expired"]) for row in rows]


def test_members_and_new_members(wanted: Asked, file: Callable[..., Any]):
    rows = file("members", wanted)
    found = as_csv("members", wanted)
    assert numbers(found, "Members (customers)") == [(row["total_members"],) for row in rows]
    new = as_csv("new-members", wanted)
    assert sum(Decimal(row["New members (customers)"]) for row in new) == sum(
        row["new_members"] for row in rows
    )


def test_what_was_given_and_taken_in_each_stretch(wanted: Asked, file: Callable[..., Any]):
    names = {
        "Earned by rules (points)": "earned_rules", "Earned by hand (points)": "earned_manual",
        "Redeemed by rules (points)": "redeemed_rules", "Redeemed by hand (points)": "redeemed_manual",
    }  # fmt: skip
    rows = file("earned-redeemed", wanted)
    found = as_csv("earned-redeemed", wanted)
    covered = 0
    for one in found:
        first, last = one.get("From") or one["Day"], one.get("To") or one["Day"]
        mine = [row for row in rows if first <= row["date"] <= last]
        covered += len(mine)
        assert {title: Decimal(one[title]) for title in names} == {
            title: sum(row[name] for row in mine) for title, name in names.items()
        }
    assert covered == len(rows) == len(wanted.frame.days)


def test_the_bridge_is_the_sum_of_its_days_and_leads_from_opening_to_closing(
    wanted: Asked, file: Callable[..., Any]
):
    rows = file("rollforward", wanted)
    found = {row["Movement"]: Decimal(row["Points"]) for row in as_csv("bridge", wanted)}
    assert (found.pop("Opening"), found.pop("Closing")) == (rows[0]["opening"], rows[-1]["closing"])
    names = {
        "Earned": ("earned", 1), "Earned, taken back": ("earned_reversed", -1), "Redeemed": ("redeemed", -1),
        "Redeemed, given back": ("refunded", 1), "Adjusted": ("adjusted", 1), "Transferred in": ("transferred_in", 1),
        "Transferred out": ("transferred_out", -1), "Expired": ("expired", -1),
    }  # fmt: skip
    sums = {title: sign * sum(row[name] for row in rows) for title, (name, sign) in names.items()}
    assert found == {title: value for title, value in sums.items() if value}
    assert rows[0]["opening"] + sum(found.values()) == rows[-1]["closing"]


def test_a_month_of_the_bridge_is_the_month_of_the_liability_file(
    asked: Callable[..., Asked], file: Callable[..., Any]
):
    month = asked("previous_month")
    [line] = [row for row in file("liability") if row["month"] == "2026-05"]
    found = {row["Movement"]: Decimal(row["Points"]) for row in as_csv("bridge", month)}
    assert found["Opening"] == line["opening"]
    assert found["Earned"] == line["earned"]
    assert -found["Redeemed"] == line["redeemed"]
    assert -found["Expired"] == line["expired"]
    assert found["Closing"] == line["closing"]


def test_liability_and_outstanding_points_of_each_month(wanted: Asked, file: Callable[..., Any]):
    rows = {row["month"]: row for row in file("liability")}
    money, points = as_csv("liability", wanted), as_csv("outstanding", wanted)
    assert len(money) == len(points) > 1
    for one in money:
        assert Decimal(one["Liability (EUR)"]) == rows[one["Month"]]["liability_closing"]
        assert one["On"] <= f"{wanted.frame.days.last}"
    for one in points:
        assert Decimal(one["Outstanding (points)"]) == rows[one["Month"]]["outstanding"]


def test_the_months_of_the_chart_are_the_liability_report_of_these_months(
    drawn_from: Context, figures: Figures, asked: Callable[..., Asked], tmp_path: Any
):
    """Not the dashboard's file, but the report that finance gets, made anew for a month."""
    from include.snapshots import registry
    from include.snapshots.local import local
    from tests.reports.liability_ledger import rendered

    read = registry.load(drawn_from.store, drawn_from.state, figures.run.snapshot_id or "")
    names = [each for each in read.columns() if each in {*liability.needs(liability.Options())}]
    files = local(drawn_from.store, read, names, tmp_path, state=drawn_from.state)
    taken = LocalSnapshot(files, read.columns())
    for program, unit in (("club", "EUR"), ("travel", "USD")):
        may = [row for row in as_csv("liability", asked(program=program)) if row["Month"] == "2026-05"]
        [line] = rendered(
            liability, taken, tmp_path, "2026-05-31T22:00", "2026-04-30T22:00", programs=(program,)
        )
        assert Decimal(may[0][f"Liability ({unit})"]) == line["liability_closing"]


def test_expiry_and_cohorts_are_the_whole_file(asked: Callable[..., Asked], file: Callable[..., Any]):
    found = as_csv("expiry", asked())
    assert numbers(found, "Expiring (points)", "Left at its end (points)") == [
        (row["points_expiring"], row["closing"]) for row in file("expiry")
    ]
    found = as_csv("cohorts", asked())
    rows = file("cohorts")
    assert [(row["Issued in"], int(row["Age (months)"])) for row in found] == [
        (row["issue_month"], row["age_months"]) for row in rows
    ]
    assert numbers(found, "Issued (points)", "Redeemed (points)", "Share redeemed") == [
        (row["issued"], row["redeemed"], row["share_redeemed"]) for row in rows
    ]


def test_tiers_and_moves(wanted: Asked, file: Callable[..., Any]):
    last = [row for row in file("tiers", wanted) if row["date"] == f"{wanted.frame.days.last}"]
    found = as_csv("tiers", wanted)
    assert [(row["Tier"], Decimal(row["Customers (customers)"])) for row in found] == [
        (row["tier"], row["customers"]) for row in last
    ]
    moves = as_csv("tier-moves", wanted)
    assert sum(Decimal(row["Moves (customers)"]) for row in moves) == sum(
        row["customers"] for row in file("tier-moves", wanted)
    )


def test_rewards_add_up_to_what_was_redeemed(wanted: Asked, file: Callable[..., Any]):
    rows = file("rewards", wanted)
    found = as_csv("rewards", wanted)
    for one in found:
        mine = [row for row in rows if (row["reward_id"] or "") == one["Id"]]
        assert Decimal(one["Redeemed (points)"]) == sum(row["points_cost"] for row in mine)
        assert Decimal(one["Redemptions"]) == sum(row["redemptions"] for row in mine)
    redeemed = sum(row["redeemed"] for row in file("rollforward", wanted))
    assert sum(Decimal(row["Redeemed (points)"]) for row in found) == redeemed


def test_top_earners_are_those_of_the_frame(asked: Callable[..., Asked], file: Callable[..., Any]):
    for kind in ("last_7_days", "previous_month", "last_12_months"):
        rows = [row for row in file("top-earners") if row["frame"] == kind]
        found = as_csv("top-earners", asked(kind))
        assert [(row["Customer or card"], Decimal(row["Points earned (points)"])) for row in found] == [
            (row["holder_id"], row["points_earned"]) for row in rows
        ]
        assert rows


def test_names_are_there_only_for_who_may_see_them(asked: Callable[..., Asked], file: Callable[..., Any]):
    names = {row["customer_name"] for row in file("top-earners")} - {None}
    assert names
    for personal in (False, True):
        chart = CHARTS["top-earners"](asked(personal=personal))
        told = chart.table.csv().decode() + repr(chart)
        assert any(name in told for name in names) is personal
        assert chart.holds_names is personal


def test_a_chart_says_what_its_figures_count(wanted: Asked):
    by_day, cohorts, earners, rewards = (
        CHARTS[name](wanted) for name in ("earned-redeemed", "cohorts", "top-earners", "rewards")
    )
    assert "name no rule" in by_day.note
    assert "Adjustments up count as earned" in by_day.note
    assert "less what was taken back" in cohorts.note
    assert f"until {full_day(wanted.figures.last_day)}" in cohorts.note  # which may be the last of a month
    assert "less those taken back" in earners.note
    assert "in how many redemptions" in rewards.note


def test_one_redemption_is_one(asked: Callable[..., Asked], file: Callable[..., Any]):
    counts: dict[str, int] = {}
    for row in file("rewards"):
        counts[row["date"]] = counts.get(row["date"], 0) + int(row["redemptions"])
    day = next(day for day, count in counts.items() if count == 1)
    assert CHARTS["rewards"](asked("custom", day, day)).says.endswith(" redeemed in 1 redemption.")


def test_tiles_are_the_figures_of_the_file(wanted: Asked, file: Callable[..., Any]):
    from include.pipeline.dashboards.tiles import tiles

    found = {tile.title: tile for tile in tiles(wanted)}
    last = file("points", wanted)[-1]
    assert found["Outstanding points"].value == last["active"] + last["pending"]
    # As the bridge and the redemptions by reward have them, not with the adjustments of the chart by day.
    moved = file("rollforward", wanted)
    assert found["Earned"].value == sum(row["earned"] for row in moved)
    assert found["Redeemed"].value == sum(row["redeemed"] for row in moved)
    assert (
        sum(Decimal(row["Redeemed (points)"]) for row in as_csv("rewards", wanted)) == found["Redeemed"].value
    )
    before = wanted.frame.before
    assert before is not None
    rows = [row for row in file("rollforward") if f"{before.first}" <= row["date"] <= f"{before.last}"]
    assert found["Expired"].before == sum(row["expired"] for row in rows)
    assert found["Members"].before == next(
        row["total_members"]
        for row in reversed(file("members"))
        if row["date"] < f"{wanted.frame.days.first}"
    )
