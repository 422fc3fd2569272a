"""Figures day by day: worked cases, each day against a booking of its own, and sums against the other reports."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.errors import BadInput
from include.ledger.ageing import instant
from include.reports import balance, history, models
from include.reports.engine.render import Job, render
from include.reports.model import Asked, LocalSnapshot
from tests.reports.liability_ledger import at, program, rendered, row, snapshot

POINTS, MEMBERS, MOVED = (
    models.load(name, where="test") for name in ("points_total", "members", "earned_redeemed")
)


def figures(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """The rows without program and with the day of the month alone."""
    return [(one["date"].day, *list(one.values())[2:]) for one in rows]


def test_points_at_the_end_of_each_day(tmp_path: Path):
    # 01  A +100                                       active 100
    # 02  B +50, usable from the 4th                   active 100, pending 50
    # 03  redeem 120: debt 20                          active 0, pending 50
    # 04  B becomes usable, 20 repay the debt          active 30
    # 05  C +10 expires at the end of the 5th exactly  active 30 (the day ends with the expiry), expired 10
    # 06  posted expiry of 5 more than was expired     active 25, expired 15
    rows = [
        row("A", "earned", 100, "2026-01-01T10:00"),
        row("B", "earned", 50, "2026-01-02T10:00", activates_at="2026-01-04"),
        row("R", "redeemed", -120, "2026-01-03T10:00"),
        row("C", "earned", 10, "2026-01-05T10:00", expires_at="2026-01-06"),
        row("X", "expired", -15, "2026-01-06T10:00"),
    ]
    # B's activation on the 4th at midnight is part of the state at the end of the 3rd.
    expected = [
        (1, 10000, 0, 0),
        (2, 10000, 5000, 0),
        (3, 3000, 0, 0),
        (4, 3000, 0, 0),
        (5, 3000, 0, 1000),
        (6, 2500, 0, 1500),
    ]
    assert (
        figures(rendered(POINTS, snapshot(tmp_path, rows), tmp_path, "2026-01-07", "2026-01-01")) == expected
    )
    # A period that begins later knows what was before it.
    assert (
        figures(rendered(POINTS, snapshot(tmp_path, rows), tmp_path, "2026-01-07", "2026-01-03"))
        == expected[2:]
    )


def test_a_reversed_pending_lot_never_becomes_active(tmp_path: Path):
    # 01  A +100 pending until the 3rd at noon; 02  40 of it reversed; 03  60 become active
    rows = [
        row("A", "earned", 100, "2026-01-01T10:00", activates_at="2026-01-03T12:00"),
        row("V", "earned_reversed", -40, "2026-01-02T10:00", related_transaction_id="A"),
    ]
    found = rendered(POINTS, snapshot(tmp_path, rows), tmp_path, "2026-01-04", "2026-01-01")
    assert figures(found) == [(1, 0, 10000, 0), (2, 0, 6000, 0), (3, 6000, 0, 0)]


def test_a_reversed_lot_that_becomes_active_where_the_period_ends(tmp_path: Path):
    # 01  A +100 pending until the end of the 2nd exactly; 02  40 of it reversed, and the rest is active
    rows = [
        row("A", "earned", 100, "2026-01-01T10:00", activates_at="2026-01-03"),
        row("V", "earned_reversed", -40, "2026-01-02T10:00", related_transaction_id="A"),
    ]
    found = rendered(POINTS, snapshot(tmp_path, rows), tmp_path, "2026-01-03", "2026-01-01")
    assert figures(found) == [(1, 0, 10000, 0), (2, 6000, 0, 0)]


def test_days_are_those_of_the_definitions_zone_and_of_the_period(tmp_path: Path):
    # In Paris 23:30 UTC is the next day. On 29 March 2026 a day there has 23 hours.
    rows = [row("A", "earned", 100, "2026-03-28T22:59:59"), row("B", "earned", 1, "2026-03-28T23:00")]
    taken = snapshot(tmp_path, rows)
    found = rendered(POINTS, taken, tmp_path, "2026-03-30T22:00", "2026-03-27T23:00", timezone="Europe/Paris")
    assert [(x["date"], x["active"]) for x in found] == [
        (date(2026, 3, 28), 10000), (date(2026, 3, 29), 10100), (date(2026, 3, 30), 10100),
    ]  # fmt: skip
    # A period that begins and ends at nine: the first day is what is left of it, the last what there is of it.
    found = rendered(POINTS, taken, tmp_path, "2026-03-29T07:00", "2026-03-28T22:00", timezone="Europe/Paris")
    assert [(x["date"].day, x["active"]) for x in found] == [(28, 10000), (29, 10100)]


def test_all_time_begins_with_the_first_row(tmp_path: Path):
    taken = snapshot(tmp_path, [row("A", "earned", 100, "2026-01-30T10:00")])
    assert figures(rendered(POINTS, taken, tmp_path, "2026-02-01")) == [(30, 10000, 0, 0), (31, 10000, 0, 0)]
    assert figures(rendered(POINTS, snapshot(tmp_path, []), tmp_path, "2026-02-01")) == [(31, 0, 0, 0)]


def test_members_come_once_go_and_return(tmp_path: Path):
    # a: 10 on the 1st, spent on the 2nd, 10 on the 4th again: new on the 1st only
    # b: a card on the 2nd, an own account on the 3rd; the card is spent on the 4th: one member from the 2nd on
    # c: pending points on the 3rd; d: earns and spends within the 3rd: at no day's end a member
    # nobody's card is no customer; e was a member in December, and is again on the 2nd: not new
    rows = [
        row("a1", "earned", 10, "2026-01-01T10:00", customer_id="a"),
        row("a2", "redeemed", -10, "2026-01-02T10:00", customer_id="a"),
        row("a3", "earned", 10, "2026-01-04T10:00", customer_id="a"),
        row("b1", "earned", 10, "2026-01-02T10:00", customer_id="x", card_id="k"),
        row("b2", "earned", 10, "2026-01-03T10:00", customer_id="b"),
        row("b3", "redeemed", -10, "2026-01-04T10:00", customer_id="x", card_id="k"),
        row("c1", "earned", 10, "2026-01-03T10:00", customer_id="c", activates_at="2026-06-01"),
        row("d1", "earned", 10, "2026-01-03T10:00", customer_id="d"),
        row("d2", "redeemed", -10, "2026-01-03T11:00", customer_id="d"),
        row("n1", "earned", 10, "2026-01-01T10:00", customer_id=None, card_id="nobodys"),
        row("e1", "earned", 10, "2025-12-01T10:00", customer_id="e"),
        row("e2", "redeemed", -10, "2025-12-05T10:00", customer_id="e"),
        row("e3", "earned", 10, "2026-01-02T10:00", customer_id="e"),
    ]
    taken = snapshot(tmp_path, rows, cards=[{"card_id": "k", "customer_id": "b"}, {"card_id": "nobodys"}])
    found = rendered(MEMBERS, taken, tmp_path, "2026-01-06", "2026-01-01")
    #      day new total: a | b e | b c e | a b c e
    assert figures(found) == [(1, 1, 1), (2, 1, 2), (3, 1, 3), (4, 0, 4), (5, 0, 4)]


def test_points_are_given_and_taken_by_people_or_by_rules(tmp_path: Path):
    rows = [
        row("1", "earned", 100, "2026-01-01", rule_name="double", admin_user="ana"),  # a rule counts first
        row("2", "earned", 7, "2026-01-01", source="API"),
        row("3", "earned", 20, "2026-01-01", source="import"),
        row("4", "adjusted", 5, "2026-01-01", admin_user="ana"),
        row("5", "adjusted", -2, "2026-01-02", source="web-ui"),
        row("6", "redeemed", -30, "2026-01-02", source="automation"),
        row("7", "redeemed", -1, "2026-01-02", admin_user="ana", rule_name=""),
        row("8", "earned_reversed", -9, "2026-01-02"),
        row("9", "redemption_refunded", 9, "2026-01-02"),
        row("10", "earned", 50, "2026-01-03"),
        row("11", "earned", 50, "2025-12-31"),
    ]
    taken = snapshot(tmp_path, rows, programs=[program(), program(program_id="a")])
    found = rendered(MOVED, taken, tmp_path, "2026-01-03", "2026-01-01")
    assert [one["program_id"] for one in found] == ["a", "a", "p", "p"]
    assert figures(found)[:2] == [(1, 0, 0, 0, 0), (2, 0, 0, 0, 0)]
    assert figures(found)[2:] == [(1, 2500, 10700, 0, 0), (2, 0, 0, 300, 3000)]
    assert len(rendered(MOVED, taken, tmp_path, "2026-01-03", "2026-01-01", programs=("p",))) == 2


@pytest.mark.parametrize("module", [POINTS, MEMBERS, MOVED])
def test_an_unknown_program_is_refused(module: Any, tmp_path: Path):
    with pytest.raises(BadInput, match="known programs are p"):
        rendered(module, snapshot(tmp_path, []), tmp_path, "2026-01-03", "2026-01-01", programs=("q",))


def test_the_last_day_is_the_balance_report(sample: LocalSnapshot, tmp_path: Path):
    held = rendered(balance, sample, tmp_path, "2026-06-01")
    last = [
        one
        for one in rendered(POINTS, sample, tmp_path, "2026-06-01", "2026-05-01")
        if one["date"] == date(2026, 5, 31)
    ]
    assert {one["program_id"]: [one[x] for x in ("active", "pending", "expired")] for one in last} == {
        program: [
            sum(x[name] for x in held if x["program_id"] == program)
            for name in ("active", "pending", "expired")
        ]
        for program in ("club", "travel")
    }


def test_members_are_the_customers_with_points(sample: LocalSnapshot, tmp_path: Path):
    found = rendered(MEMBERS, sample, tmp_path, "2026-07-01", "2026-06-01")
    for day in ("2026-06-02", "2026-06-20", "2026-07-01"):
        held = rendered(balance, sample, tmp_path, day, grain="customer")
        members = Counter(
            x["program_id"] for x in held if x["customer_id"] and x["active"] + x["pending"] > 0
        )
        ends = at(day).date() - timedelta(days=1)
        assert {x["program_id"]: x["total_members"] for x in found if x["date"] == ends} == members
    # All who ever were, were new once.
    ever = rendered(MEMBERS, sample, tmp_path, "2026-07-01")
    assert ever[-len(ever) // 2 :][-1]["total_members"] == found[-1]["total_members"]
    assert [x["new_members"] for x in ever if x["date"] >= date(2026, 6, 1)] == [
        x["new_members"] for x in found
    ]


def test_what_was_given_and_taken_is_what_history_says(sample: LocalSnapshot, tmp_path: Path):
    found = rendered(MOVED, sample, tmp_path, "2026-06-01", "2026-05-01")
    posted = rendered(history, sample, tmp_path, "2026-06-01", "2026-05-01")
    for kind, sign in (("earned", 1), ("redeemed", -1)):
        moved: Counter[tuple[str, date]] = Counter()
        for one in posted:
            if one["type"] == kind or (one["type"] == "adjusted" and one["points_change"] * sign > 0):
                moved[one["program_id"], one["created_at"].date()] += one["points_change"] * sign
        given_or_taken = {
            (x["program_id"], x["date"]): x[f"{kind}_manual"] + x[f"{kind}_rules"] for x in found
        }
        assert {key: value for key, value in given_or_taken.items() if value} == moved
        assert sum(x[f"{kind}_manual"] for x in found) > 0


TYPES = {"earned": 1, "redeemed": -1, "adjusted": 1, "transferred_out": -1, "redemption_refunded": 1}
HOURS = st.integers(0, 8 * 24)


@st.composite
def ledgers(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Rows of one week on whole hours, so that rows, activations and expiries meet each other and midnights."""
    rows: list[dict[str, Any]] = []
    for number in range(draw(st.integers(1, 14))):
        kind = draw(st.sampled_from([*TYPES, "earned_reversed", "expired"]))
        created = draw(HOURS)
        sign = TYPES.get(kind, -1)
        points = sign * draw(st.integers(1, 60))
        more: dict[str, Any] = {}
        if sign > 0:
            more = {
                name: hour(created + after) for name in ("activates_at", "expires_at")
                if (after := draw(st.none() | st.integers(0, 80))) is not None
            }  # fmt: skip
        elif kind in ("earned_reversed", "expired") and rows:
            more = {"related_transaction_id": draw(st.sampled_from([one["transaction_id"] for one in rows]))}
        who = draw(st.sampled_from(["a", "b", "card"]))
        more |= {"customer_id": "a", "card_id": "k"} if who == "card" else {"customer_id": who}
        rows.append(row(f"t{number:02}", kind, points, hour(created), **more))
    return rows


def hour(number: int) -> str:
    return (at("2026-01-01") + timedelta(hours=number)).isoformat()[:19]


def days_of_january(of: LocalSnapshot, scratch: Path) -> list[list[list[dict[str, Any]]]]:
    """What the two models say of nine days, and the balances at the end of each: all out of one pass."""
    start, until = instant(at("2026-01-01")), instant(at("2026-01-10"))
    days = [
        Asked(None, None, instant(at(f"2026-01-{n:02}")), until * 2, balance.Options(), "UTC")
        for n in range(2, 11)
    ]
    period = [Asked(start, until, until, until * 2, module.Options(), "UTC") for module in (POINTS, MEMBERS)]
    jobs = [*zip((POINTS, MEMBERS), period, strict=True), *((balance, day) for day in days)]
    found = render(
        [
            Job(module, asked, lambda batches: [x for b in batches for x in b.to_pylist()])
            for module, asked in jobs
        ],
        of,
        scratch,
    )
    return [found[:2], found[2:]]


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ledgers())
def test_every_day_is_what_a_booking_as_of_its_end_says(tmp_path: Path, rows: list[dict[str, Any]]):
    taken = snapshot(tmp_path, rows, cards=[{"card_id": "k", "customer_id": "b"}])
    (points, members), booked = days_of_january(taken, tmp_path)
    ever: set[str] = set()
    for total, member, held in zip(points, members, booked, strict=True):
        assert [total[x] for x in ("active", "pending", "expired")] == [
            sum(one[x] for one in held) for x in ("active", "pending", "expired")
        ], total["date"]
        now = {one["customer_id"] for one in held if one["active"] + one["pending"] > 0}
        assert (member["total_members"], member["new_members"]) == (len(now), len(now - ever)), total["date"]
        ever |= now
