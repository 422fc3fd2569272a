"""What dashboards are drawn from: each model's worked cases, and that it says what the report says that it sums up."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from include.definitions.zones import last_day_before, zone
from include.errors import BadInput
from include.reports import models
from include.reports.model import LocalSnapshot
from tests.reports.liability_ledger import at, program, rendered, row, snapshot

pytestmark = pytest.mark.slow  # a whole ledger, or hundreds of small transactions

(FLOWS, MONTHS, EXPIRY, TIERS, MOVES, REWARDS, COHORTS, FRAMES) = (
    models.load(name, where="test")
    for name in (
        "rollforward_by_day", "liability_by_month", "expiry_by_month", "tiers_by_day", "tier_moves", "rewards_by_day",
        "redemption_by_cohort", "top_earners_by_frame",
    )
)  # fmt: skip
LIABILITY, PROJECTION, REDEMPTION, CUSTOMER_TIERS, TOP = (
    models.load(name, where="test")
    for name in ("liability", "projection", "redemption", "customer_tiers", "top_earners")
)
MOVEMENTS = (
    "earned", "earned_reversed", "redeemed", "refunded", "adjusted", "transferred_in", "transferred_out", "expired",
)  # fmt: skip
PARIS = "Europe/Paris"


def moved(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Day of the month, opening, what moved by name, closing; in whole points."""
    return [
        (
            one["date"].day,
            one["opening"] / 100,
            {x: one[x] / 100 for x in MOVEMENTS if one[x]},
            one["closing"] / 100,
        )
        for one in rows
    ]


def test_each_day_opens_with_what_the_day_before_closed_with(tmp_path: Path):
    # 31.12. A +100                                        0 -> 100, before the period
    # 01     B +50, 30 of A taken back                     100 + 50 - 30 = 120
    # 02     40 redeemed, of which 10 are given back       120 - 40 + 10 = 90
    # 03     by hand +5 and -2; C +20, gone at the end of the day exactly: the expiry is of the day that ends then
    # 04     a posted expiry of 25: 20 of it confirm C, 5 are in excess
    rows = [
        row("A", "earned", 100, "2025-12-31T10:00"),
        row("B", "earned", 50, "2026-01-01T10:00"),
        row("V", "earned_reversed", -30, "2026-01-01T11:00", related_transaction_id="A"),
        row("R", "redeemed", -40, "2026-01-02T10:00"),
        row("F", "redemption_refunded", 10, "2026-01-02T11:00", related_transaction_id="R"),
        row("H", "adjusted", 5, "2026-01-03T10:00"),
        row("I", "adjusted", -2, "2026-01-03T11:00"),
        row("C", "earned", 20, "2026-01-03T12:00", expires_at="2026-01-04"),
        row("X", "expired", -25, "2026-01-04T10:00"),
    ]
    taken = snapshot(tmp_path, rows)
    assert moved(rendered(FLOWS, taken, tmp_path, "2026-01-05", "2026-01-01")) == [
        (1, 100, {"earned": 50, "earned_reversed": 30}, 120),
        (2, 120, {"redeemed": 40, "refunded": 10}, 90),
        (3, 90, {"earned": 20, "adjusted": 3, "expired": 20}, 93),
        (4, 93, {"expired": 5}, 88),
    ]
    # Of all time, the first day is that of the first row, and nothing was before it.
    assert moved(rendered(FLOWS, taken, tmp_path, "2026-01-02"))[0] == (31, 0, {"earned": 100}, 100)


def test_an_expiry_where_the_period_begins_is_of_the_day_before(tmp_path: Path):
    rows = [row("A", "earned", 100, "2025-12-31T10:00", expires_at="2026-01-01")]
    found = rendered(FLOWS, snapshot(tmp_path, rows), tmp_path, "2026-01-02", "2026-01-01")
    assert moved(found) == [(1, 0, {}, 0)]


@pytest.mark.parametrize(
    ("start", "end"),
    [("2026-05-01", "2026-06-01"), ("2026-03-29", "2026-03-30"), ("2025-06-01", "2026-06-01")],
)
def test_the_days_of_a_period_add_up_to_its_roll_forward(start, end, sample: LocalSnapshot, tmp_path: Path):
    days = rendered(FLOWS, sample, tmp_path, end, start)
    for line in rendered(LIABILITY, sample, tmp_path, end, start, method="none"):
        mine = [one for one in days if one["program_id"] == line["program_id"]]
        assert len(mine) == (at(end) - at(start)).days
        assert {x: sum(one[x] for one in mine) for x in MOVEMENTS} == {x: line[x] for x in MOVEMENTS}
        assert (mine[0]["opening"], mine[-1]["closing"]) == (line["opening"], line["closing"])


@pytest.mark.parametrize("end", ["2026-06-01", "2026-06-17T09:30"])
def test_each_month_is_the_liability_report_of_that_month(end: str, sample: LocalSnapshot, tmp_path: Path):
    found = rendered(MONTHS, sample, tmp_path, end, months=3)
    newest = at(end) - timedelta(microseconds=1)
    starts = [date(2026, newest.month - back, 1) for back in (2, 1, 0)]
    for start, until in zip(starts, [*(f"{one}" for one in starts[1:]), end], strict=True):
        mine = [one for one in found if one["month"] == f"{start:%Y-%m}"]
        expected = rendered(LIABILITY, sample, tmp_path, until, f"{start}")
        assert [{k: v for k, v in one.items() if k != "month"} for one in mine] == expected
    assert len(found) == 3 * 2


def test_months_are_those_of_the_definitions_zone(sample: LocalSnapshot, tmp_path: Path):
    found = rendered(MONTHS, sample, tmp_path, "2026-06-10", months=2, timezone=PARIS)
    assert sorted({(one["month"], one["period_start"]) for one in found}) == [
        ("2026-05", at("2026-04-30T22:00")), ("2026-06", at("2026-05-31T22:00")),
    ]  # fmt: skip


def test_points_expire_in_the_month_whose_end_finds_them_gone(tmp_path: Path):
    # As of 10 January: 100 expire on 1 February at midnight, so January ends without them; 50 later in February;
    # 30, pending until March, never. 20 of debt are repaid when these become usable.
    rows = [
        row("A", "earned", 100, "2026-01-01", expires_at="2026-02-01"),
        row("B", "earned", 50, "2026-01-01", expires_at="2026-02-01T00:00:01"),
        row("C", "earned", 30, "2026-01-01", activates_at="2026-03-05", customer_id="d"),
        row("D", "redeemed", -20, "2026-01-02", customer_id="d"),
        row("Z", "earned", 5, "2026-01-01", expires_at="2026-01-05", customer_id="gone"),
    ]
    found = rendered(EXPIRY, snapshot(tmp_path, rows), tmp_path, "2026-01-10", months=2)
    assert [tuple(one.values()) for one in found] == [
        ("p", "2026-01", 10000, 0, 6000),
        ("p", "2026-02", 5000, 0, 1000),
        ("p", "2026-03", 0, 3000, 1000),
    ]
    # Where T is the end of a month, no rest of it is left.
    found = rendered(EXPIRY, snapshot(tmp_path, rows), tmp_path, "2026-02-01", months=2)
    assert [one["month"] for one in found] == ["2026-02", "2026-03"]


def test_a_coming_month_is_what_the_projection_says_of_its_days(sample: LocalSnapshot, tmp_path: Path):
    months = rendered(EXPIRY, sample, tmp_path, "2026-07-01", months=1)
    expected: Counter[tuple[str, str]] = Counter()
    for one in rendered(PROJECTION, sample, tmp_path, "2026-07-01", days=31, grain="account"):
        for name in ("points_expiring", "points_activating"):
            expected[one["program_id"], name] += one[name]
    assert {
        (x["program_id"], n): x[n] for x in months for n in ("points_expiring", "points_activating")
    } == expected
    assert sum(one["points_expiring"] for one in months) > 0


CHANGES = [
    ("a", "2025-12-01", "silver"),
    ("a", "2026-01-02T10:00", "gold"),
    ("a", "2026-01-02T11:00", "gold"),  # no move
    ("b", "2026-01-01T10:00", "silver"),
    ("b", "2026-01-03T00:00", None),  # the first instant of the 3rd is of the 3rd
    ("c", "2026-01-03T10:00", "unnamed"),
    ("d", "2026-01-04T00:00", "gold"),  # at T: not part of it
]
NAMES = [{"program_id": "p", "tier_id": "gold", "name": "Gold", "rank": 2},
         {"program_id": "p", "tier_id": "silver", "name": "Silver", "rank": 1}]  # fmt: skip


def tiers(tmp_path: Path) -> LocalSnapshot:
    changes = [
        {"program_id": "p", "customer_id": who, "changed_at": at(when), "tier_id": tier}
        for who, when, tier in CHANGES
    ]
    return snapshot(tmp_path, [], tier_changes=changes, tiers=NAMES)


def test_tiers_at_the_end_of_each_day(tmp_path: Path):
    found = rendered(TIERS, tiers(tmp_path), tmp_path, "2026-01-04", "2026-01-01")
    assert [(one["date"].day, one["tier"], one["rank"], one["customers"]) for one in found] == [
        (1, "Silver", 1, 2), (1, "Gold", 2, 0), (1, "unnamed", None, 0),
        (2, "Silver", 1, 1), (2, "Gold", 2, 1), (2, "unnamed", None, 0),
        (3, "Silver", 1, 0), (3, "Gold", 2, 1), (3, "unnamed", None, 1),
    ]  # fmt: skip


def test_moves_between_tiers(tmp_path: Path):
    found = rendered(MOVES, tiers(tmp_path), tmp_path, "2026-01-04", "2026-01-01")
    assert [(x["date"].day, x["from_tier"], x["to_tier"], x["customers"]) for x in found] == [
        (1, None, "Silver", 1), (2, "Silver", "Gold", 1), (3, "Silver", None, 1), (3, None, "unnamed", 1),
    ]  # fmt: skip


def test_the_last_day_is_who_has_which_tier_and_moves_lead_there(sample: LocalSnapshot, tmp_path: Path):
    days = rendered(TIERS, sample, tmp_path, "2026-07-01", "2026-03-01")
    held = Counter(
        (x["program_id"], x["tier"]) for x in rendered(CUSTOMER_TIERS, sample, tmp_path, "2026-07-01")
    )
    last = {(x["program_id"], x["tier"]): x["customers"] for x in days if x["date"] == date(2026, 6, 30)}
    assert {key: count for key, count in last.items() if count} == held
    first = {(x["program_id"], x["tier"]): x["customers"] for x in days if x["date"] == date(2026, 3, 1)}
    moves = [
        x
        for x in rendered(MOVES, sample, tmp_path, "2026-07-01", "2026-03-01")
        if x["date"] > date(2026, 3, 1)
    ]
    led = Counter(first)
    for one in moves:
        led[one["program_id"], one["to_tier"]] += one["customers"]
        led[one["program_id"], one["from_tier"]] -= one["customers"]
    assert moves
    assert {key: count for key, count in led.items() if key[1] and count} == held


def test_rewards_are_counted_on_the_local_day_of_the_redemption(sample: LocalSnapshot, tmp_path: Path):
    found = rendered(REWARDS, sample, tmp_path, "2026-06-01", "2026-05-01", timezone=PARIS)
    expected: Counter[tuple[Any, ...]] = Counter()
    for one in rendered(REDEMPTION, sample, tmp_path, "2026-06-01", "2026-05-01"):
        day = last_day_before(one["redeemed_at"] + timedelta(microseconds=1), zone(PARIS))
        key = (one["program_id"], min(day, date(2026, 6, 1)), one["reward_id"], one["reward_name"])
        for name, value in (("n", 1), ("cost", one["points_cost"]), ("back", one["points_refunded"])):
            expected[*key, name] += value
    names = {"n": "redemptions", "cost": "points_cost", "back": "points_refunded"}
    assert {
        (x["program_id"], x["date"], x["reward_id"], x["reward_name"], n): x[name]
        for x in found for n, name in names.items()
    } == expected  # fmt: skip


def test_a_cohort_is_followed_month_by_month(tmp_path: Path):
    # 1,000 issued in January: 400 redeemed in it, 200 in February, 120 in March; 50 of these given back in April.
    # 500 issued in February, of which 100 are taken back: 400 are left; 100 redeemed in March.
    rows = [
        row("J", "earned", 1000, "2026-01-01", expires_at="2027-01-01"),
        row("r1", "redeemed", -400, "2026-01-31T23:59"),
        row("r2", "redeemed", -200, "2026-02-10"),
        row("r3", "redeemed", -120, "2026-03-01"),
        row("f", "redemption_refunded", 50, "2026-04-02", related_transaction_id="r3"),
        row("F", "earned", 500, "2026-02-01", customer_id="d"),
        row("v", "earned_reversed", -100, "2026-02-02", customer_id="d", related_transaction_id="F"),
        row("r4", "redeemed", -100, "2026-03-31T23:59", customer_id="d"),
    ]
    found = rendered(COHORTS, snapshot(tmp_path, rows), tmp_path, "2026-04-10")
    assert [
        (x["issue_month"], x["age_months"], x["issued"] / 100, x["redeemed"] / 100, x["share_redeemed"])
        for x in found
    ] == [
        ("2026-01", 0, 1000, 400, Decimal("0.4")),
        ("2026-01", 1, 1000, 600, Decimal("0.6")),
        ("2026-01", 2, 1000, 720, Decimal("0.72")),
        ("2026-01", 3, 1000, 670, Decimal("0.67")),
        ("2026-02", 0, 400, 0, 0),
        ("2026-02", 1, 400, 100, Decimal("0.25")),
        ("2026-02", 2, 400, 100, Decimal("0.25")),
    ]
    # Where T is the end of a month, that month is the last age.
    found = rendered(COHORTS, snapshot(tmp_path, rows), tmp_path, "2026-04-01", months=2)
    assert [(x["issue_month"], x["age_months"]) for x in found] == [("2026-02", 0), ("2026-02", 1)]


def test_cohorts_redeem_what_liability_says_of_their_month(sample: LocalSnapshot, tmp_path: Path):
    last = {
        (x["program_id"], x["issue_month"]): x
        for x in rendered(COHORTS, sample, tmp_path, "2026-06-01", months=120)
    }
    # A liability of nearly all time by issue month: what was redeemed of it since, refunds subtracted.
    lines = rendered(
        LIABILITY, sample, tmp_path, "2026-06-01", "2000-01-01", by=("issue_month",), method="none"
    )
    for one in lines:
        if one["issue_month"] == "none" or one["reclassified"]:
            continue
        cohort = last[one["program_id"], one["issue_month"]]
        assert cohort["redeemed"] == one["redeemed"] - one["refunded"]
    assert len(last) > 24


def test_each_frame_is_the_top_earners_report_of_it(sample: LocalSnapshot, tmp_path: Path):
    frames = ("previous_day", "last_7_days", "previous_month", "month_to_date", "last_12_months")
    found = rendered(FRAMES, sample, tmp_path, "2026-06-10T15:00", frames=frames, limit=5, timezone=PARIS)
    spans = {one["frame"]: (one["period_start"], one["period_end"]) for one in found}
    assert spans["last_7_days"] == (at("2026-06-02T22:00"), at("2026-06-09T22:00"))
    assert spans["previous_month"] == (at("2026-04-30T22:00"), at("2026-05-31T22:00"))
    assert max(end for _, end in spans.values()) == at("2026-06-09T22:00")  # none holds the day of T
    for frame, (start, end) in spans.items():
        mine = [
            {k: v for k, v in x.items() if k in {"rank", "holder_id", "points_earned"}}
            for x in found
            if x["frame"] == frame
        ]
        expected = rendered(
            TOP, sample, tmp_path, f"{end:%Y-%m-%dT%H:%M}", f"{start:%Y-%m-%dT%H:%M}", limit=5
        )
        assert mine == [{k: x[k] for k in ("rank", "holder_id", "points_earned")} for x in expected]


@pytest.mark.parametrize("module", [FLOWS, MONTHS, EXPIRY, TIERS, MOVES, COHORTS, FRAMES])
def test_an_unknown_program_is_refused(module: Any, tmp_path: Path):
    taken = snapshot(tmp_path, [], programs=[program()])
    with pytest.raises(BadInput, match="known programs are p"):
        rendered(
            module,
            taken,
            tmp_path,
            "2026-01-03",
            "2026-01-01" if module.PERIOD == "required" else None,
            programs=("q",),
        )
