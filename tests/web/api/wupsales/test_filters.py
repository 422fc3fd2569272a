"""What WupSales' filters mean in the words of our own, and which ones do not go together."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from include.definitions.filters import Filter, problems
from include.errors import BadInput
from include.reports import balance
from include.web.api.wupsales_filters import Days, Filters, between, check, days, of_customers

NOW = datetime(2026, 3, 10, 17, 30, tzinfo=UTC)


def asked(**keys: Any) -> Filters:
    return Filters.model_validate(keys)


@pytest.mark.parametrize(
    ("keys", "start", "end"),
    [
        ({}, None, None),
        ({"range": "last_7_days"}, datetime(2026, 3, 4, tzinfo=UTC), None),  # today and six days before
        ({"range": "last_30_days"}, datetime(2026, 2, 9, tzinfo=UTC), None),
        ({"range": "last_90_days"}, datetime(2025, 12, 11, tzinfo=UTC), None),
        ({"range": "custom", "from": "2026-02-01"}, datetime(2026, 2, 1, tzinfo=UTC), None),
        # the last day is in it
        ({"range": "custom", "from": "2026-02-01", "to": "2026-02-01"}, datetime(2026, 2, 1, tzinfo=UTC),
         datetime(2026, 2, 2, tzinfo=UTC)),
    ],
)  # fmt: skip
def test_a_range_is_whole_days_and_today_as_far_as_it_has_gone(
    keys: dict[str, Any], start: datetime | None, end: datetime | None
) -> None:
    assert days(asked(**keys), NOW) == Days(start, end)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"tier": ["Gold", "Silver"]}, [{"segment": {"tier": ["Gold", "Silver"]}}]),
        ({"min_points": "10.50"}, [{"segment": {"points_between": ["10.50", None]}}]),
        ({"max_points": "0"}, [{"segment": {"points_between": [None, "0"]}}]),
        ({"activity": "never_redeemed"}, [{"segment": "never_redeemed"}]),
        ({"registration": "new"}, [{"field": "registered_at", "after": "2026-02-08T23:59:59.999999Z"}]),
        ({"registration": "returning"}, [{"field": "registered_at", "before": "2026-02-09T00:00:00Z"}]),
        ({"registration": "new", "range": "custom", "from": "2026-01-01", "to": "2026-01-31"},
         [{"field": "registered_at", "after": "2025-12-31T23:59:59.999999Z", "before": "2026-02-01T00:00:00Z"}]),
        ({"registration": "returning", "range": "last_7_days"},
         [{"field": "registered_at", "before": "2026-03-04T00:00:00Z"}]),
    ],
)  # fmt: skip
def test_filters_about_customers_are_ones_of_the_report(keys: dict[str, Any], expected: list[Any]) -> None:
    found = of_customers(asked(**keys), NOW)
    assert found == expected
    columns = balance.columns(balance.Options(grain="customer"))
    assert problems(Filter.model_validate(found), columns) == []


def test_an_end_alone_is_a_filter_too() -> None:
    end = datetime(2026, 1, 2, tzinfo=UTC)
    assert between("x", Days(None, end)) == {"field": "x", "before": "2026-01-02T00:00:00Z"}


def test_all_that_does_not_go_together_is_told_at_once() -> None:
    with pytest.raises(BadInput) as wrong:
        check(asked(**{"from": "2026-01-01", "to": "2026-02-01", "min_points": "3", "max_points": "2"}), NOW)
    assert [each.code for each in wrong.value.problems] == [
        "bounds_not_possible",
        "bounds_not_possible",
        "max_below_min",
    ]
    with pytest.raises(BadInput) as wrong:
        check(asked(range="custom"), NOW)
    assert [each.code for each in wrong.value.problems] == ["bounds_missing"]
    with pytest.raises(BadInput) as wrong:
        check(asked(range="custom", **{"from": date(2026, 2, 1), "to": date(2026, 1, 31)}), NOW)
    assert [each.code for each in wrong.value.problems] == ["start_after_end"]
    today = {"from": str(NOW.date()), "to": str(NOW.date())}
    check(asked(range="custom", min_points="2", max_points="2", **today), NOW)
    with pytest.raises(BadInput) as wrong:
        check(asked(range="custom", **{"from": str(NOW.date() + timedelta(days=1))}), NOW)
    assert [each.where for each in wrong.value.problems] == ["from"]


@pytest.mark.parametrize(
    "keys",
    [
        {"range": "last_8_days"},
        {"range": "custom", "from": "2026-02-30"},
        {"range": "custom", "from": "0001-01-01"},
        {"min_points": "1.005"},
        {"max_points": "1e3"},
        {"min_points": "NaN"},
        {"min_orders": "0"},
        {"tier": [""]},
        {"format": "pdf"},
        {"page": "2"},
    ],
)
def test_what_is_no_filter_is_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        asked(**keys)
