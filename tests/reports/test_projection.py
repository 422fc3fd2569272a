"""Projections: local days, what expires and activates in them, and the balance at their end (section 4)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from include.errors import BadInput
from include.reports import projection
from include.reports.horizon import days_after
from tests.ledger.ledger_text import day
from tests.reports.small import rows, taken

TEXT = """
A earned 100 on 01-01 expires 03-02
B earned 50 on 01-02 activates 03-03 expires 12-31
C earned 7 on 01-02 activates 03-02 expires 03-01
R redeemed -20 on 01-05
X earned 30 on 01-01 account x
"""


def test_each_day_has_what_expires_activates_and_is_left(tmp_path):
    found = rows(projection, taken(tmp_path, TEXT), tmp_path, day("03-01"), days=3)
    mine = [x for x in found if x["holder_id"] == "a"]
    figures = [
        (
            x["date"].isoformat(),
            *(x[k] // 100 for k in ("points_expiring", "points_activating", "pending", "points_balance")),
        )
        for x in mine
    ]
    # A expires at the midnight that ends 1 March, with it C, which never becomes usable (rule 7).
    assert figures == [
        ("2026-03-01", 87, 0, 50, 0),
        ("2026-03-02", 0, 50, 0, 50),
        ("2026-03-03", 0, 0, 0, 50),
    ]
    assert [x["points_balance"] for x in found if x["holder_id"] == "x"] == [3_000] * 3


def test_debt_is_repaid_by_what_activates(tmp_path):
    text = "A earned 100 on 01-01 activates 03-02\nR redeemed -40 on 01-05"
    (first, second) = rows(projection, taken(tmp_path, text), tmp_path, day("03-01"), days=2)
    assert (first["points_activating"], first["points_balance"], first["pending"]) == (10_000, 6_000, 0)
    assert (second["points_activating"], second["points_balance"]) == (0, 6_000)


def test_what_happens_at_the_end_of_the_last_day_is_of_it_and_at_the_as_of_is_not(tmp_path):
    text = """
    A earned 100 on 01-01 activates 03-02
    B earned 5 on 01-01 activates 03-01
    C earned 7 on 01-01 expires 03-01
    D earned 3 on 01-01 activates 03-02 expires 03-02
    """
    (only,) = rows(projection, taken(tmp_path, text), tmp_path, day("03-01"), days=1)
    figures = ("points_activating", "points_expiring", "pending", "points_balance")
    assert [only[name] // 100 for name in figures] == [100, 3, 0, 105]  # D is never usable (rule 7)


def test_days_are_those_of_the_zone(tmp_path):
    found = rows(projection, taken(tmp_path, TEXT), tmp_path, day("03-28"), days=3, timezone="Europe/Paris")
    ends = sorted({x["projected_at"] for x in found})
    assert ends == [datetime(2026, 3, d, h, tzinfo=UTC) for d, h in ((28, 23), (29, 22), (30, 22))]


def test_a_day_that_the_calendar_skipped_is_no_day():
    before = int(datetime(2011, 12, 29, 12, tzinfo=UTC).timestamp()) * 1_000_000
    horizon = days_after(before, 3, "Pacific/Apia")
    assert [one.isoformat() for one in horizon.days] == ["2011-12-29", "2011-12-31", "2012-01-01"]


def test_one_future_instant(tmp_path):
    of = taken(tmp_path, TEXT)
    until = datetime(2026, 6, 1, tzinfo=UTC)
    found = {x["holder_id"]: x for x in rows(projection, of, tmp_path, day("03-01"), until=until)}
    assert (found["a"]["projected_at"], found["a"]["points_expiring"], found["a"]["points_balance"]) == (
        until,
        8_700,
        5_000,
    )
    with pytest.raises(BadInput, match="must lie after the instant that the projection starts from"):
        rows(projection, of, tmp_path, day("06-01"), until=until)


def test_those_without_points_are_listed_only_when_asked_for(tmp_path):
    of = taken(tmp_path, "A earned 100 on 01-01\nR redeemed -100 on 01-05\nX earned 30 on 01-01 account x")
    assert {x["holder_id"] for x in rows(projection, of, tmp_path, day("03-01"))} == {"x"}
    assert {x["holder_id"] for x in rows(projection, of, tmp_path, day("03-01"), include_zero=True)} == {
        "a",
        "x",
    }


@pytest.mark.parametrize("days", [0, 32])
def test_days_are_1_to_31(days):
    with pytest.raises(ValidationError):
        projection.Options(days=days)
