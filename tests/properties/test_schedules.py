"""Every schedule kind, in real zones and across their clock changes.

Rules guarded: an occurrence for each period exactly once; what is cut at occurrences tiles the time line;
a gap moves an occurrence to the first instant after it, a repeated hour counts once, at its first pass.
"""

from __future__ import annotations

from calendar import monthrange
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from include.definitions.periods import Period, period
from include.definitions.schedule import SCHEDULE, WEEKDAYS, Once, Recurrence
from include.definitions.zones import day_exists, instant_at, last_day_before, local, start_of
from tests.examples import examples

# Each with days on which its clocks did something: half hours, midnights, a lost day, suspended summer time.
CLOCK_CHANGES = {
    "Europe/Paris": [date(2026, 3, 29), date(2026, 10, 25)],
    "America/New_York": [date(2026, 3, 8), date(2026, 11, 1)],
    "Australia/Lord_Howe": [date(2026, 4, 5), date(2026, 10, 4)],
    "Pacific/Apia": [date(2011, 12, 30), date(2011, 4, 2), date(2011, 9, 24)],
    "Africa/Casablanca": [date(2026, 2, 15), date(2026, 3, 22), date(2018, 10, 28)],
    "Asia/Kathmandu": [date(1986, 1, 1)],
    "America/Santiago": [date(2026, 4, 5), date(2026, 9, 6)],
    "America/Nuuk": [date(2026, 3, 28), date(2026, 10, 24)],
    "America/St_Johns": [date(2006, 4, 2), date(2006, 10, 29)],
    "Africa/Cairo": [date(2026, 4, 24), date(2026, 10, 29)],
    "Asia/Gaza": [date(2026, 3, 28)],
    "Antarctica/Troll": [date(2026, 3, 29), date(2026, 10, 25)],
    "Pacific/Kwajalein": [date(1993, 8, 21)],
    "UTC": [date(2026, 2, 28)],
}

zones = st.sampled_from(sorted(CLOCK_CHANGES))
clocks = st.one_of(
    st.sampled_from(
        [time(0), time(0, 30), time(1, 30), time(2), time(2, 15), time(2, 30), time(3), time(23, 30)]
    ),
    st.times().map(lambda value: value.replace(microsecond=0)),
)


@st.composite
def places(draw):
    """A zone, and a day near one of its clock changes (or any day of seventy years)."""
    name = draw(zones)
    change = draw(st.sampled_from(CLOCK_CHANGES[name]))
    near = change + timedelta(days=draw(st.integers(-40, 40)))
    return name, draw(st.sampled_from([change, near, draw(st.dates(date(1975, 1, 1), date(2040, 1, 1)))]))


def documents(kind: str) -> st.SearchStrategy[dict]:
    own = {
        "daily": {},
        "weekly": {"days": st.lists(st.sampled_from(WEEKDAYS), min_size=1, unique=True)},
        "monthly": {
            "days": st.lists(st.one_of(st.integers(1, 31), st.just("last")), min_size=1, unique=True)
        },
        "business_day": {"day": st.integers(-15, 15).filter(bool)},
        "quarter_end": {},
    }[kind]
    return st.fixed_dictionaries({"kind": st.just(kind), "time": clocks.map(time.isoformat), **own})


KINDS = ["daily", "weekly", "monthly", "business_day", "quarter_end"]
SPAN = {"daily": 40, "weekly": 60, "monthly": 200, "business_day": 200, "quarter_end": 900}
each_kind = pytest.mark.parametrize("kind", KINDS)


def recurrence(document: dict, name: str) -> Recurrence:
    return Recurrence(SCHEDULE.validate_python(document), name)


def around(name: str, day: date, days: int) -> tuple[datetime, datetime]:
    where = ZoneInfo(name)
    return start_of(day - timedelta(days=days), where), start_of(day + timedelta(days=days), where)


@each_kind
@given(data=st.data(), place=places())
@examples(60)
def test_occurrences_increase_and_next_and_previous_agree_with_them(kind, data, place):
    name, day = place
    rule = recurrence(data.draw(documents(kind)), name)
    start, end = around(name, day, SPAN[kind])
    found = list(rule.occurrences(start, end))
    assert found, "each kind fires within its span"
    for one, two in pairwise(found):
        assert one < two
        assert rule.next_after(one) == two
        assert rule.previous_before(two) == one
        assert rule.next_after(one + (two - one) / 2) == two
        assert rule.previous_before(two - (two - one) / 2) == one
    assert all(start <= moment < end and moment.tzinfo is UTC for moment in found)
    assert list(rule.occurrences(found[0], found[-1])) == found[:-1], "half-open"


@each_kind
@given(data=st.data(), place=places())
@examples(40)
def test_periods_since_the_previous_occurrence_tile_the_time_line(kind, data, place):
    name, day = place
    rule = recurrence(data.draw(documents(kind)), name)
    found = list(rule.occurrences(*around(name, day, SPAN[kind])))
    spec = Period(kind="since_previous_occurrence")
    cut = [
        period(spec, moment, rule.zone, previous_occurrence=rule.previous_before(moment, bounded=False))
        for moment in found
    ]
    assert all(one.end == two.start for one, two in pairwise(cut))
    assert all(one.start < one.end for one in cut)


@given(place=places(), clock=clocks)
@examples(150)
def test_daily_stands_for_each_day_of_the_local_calendar_once(place, clock):
    name, day = place
    rule = recurrence({"kind": "daily", "time": clock.isoformat()}, name)
    start, end = around(name, day, 5)
    days = [day - timedelta(days=5) + timedelta(days=number) for number in range(10)]
    expected = [each for each in days if day_exists(each, rule.zone)]
    inside = rule.occurrences(start - timedelta(days=2), end + timedelta(days=2))
    assert [each for each in map(rule.day_of, inside) if each in days] == expected


@given(place=places(), document=documents("weekly"))
@examples(100)
def test_weekly_stands_for_each_week_as_often_as_it_names_days(place, document):
    name, day = place
    rule = recurrence(document, name)
    monday = day - timedelta(days=day.weekday())
    found = rule.occurrences(
        start_of(monday - timedelta(days=21), rule.zone), start_of(monday + timedelta(days=22), rule.zone)
    )
    weeks = Counter(rule.day_of(moment).isocalendar()[:2] for moment in found)
    for number in (-2, -1, 0, 1, 2):
        week = monday + timedelta(days=7 * number)
        lost = [each for n in range(7) if not day_exists(each := week + timedelta(days=n), rule.zone)]
        named = [WEEKDAYS[each.weekday()] for each in lost if WEEKDAYS[each.weekday()] in document["days"]]
        # A lost day's run moves to the day after it, unless that one has its own.
        doubled = [n for n in named if WEEKDAYS[(WEEKDAYS.index(n) + 1) % 7] in document["days"]]
        assert weeks[week.isocalendar()[:2]] == len(document["days"]) - len(doubled)


@given(place=places(), clock=clocks, number=st.one_of(st.integers(1, 28), st.just("last")))
@examples(100)
def test_monthly_on_a_day_that_every_month_has_stands_for_each_month_once(place, clock, number):
    name, day = place
    rule = recurrence({"kind": "monthly", "days": [number], "time": clock.isoformat()}, name)
    found = [rule.day_of(moment) for moment in rule.occurrences(*around(name, day, 400))]
    months = [each.year * 12 + each.month for each in found]
    assert months == list(range(months[0], months[0] + len(months)))
    for each in found:
        if number == "last" and day_exists(each, rule.zone):
            assert each.day == monthrange(each.year, each.month)[1]


@given(place=places(), clock=clocks)
@examples(60)
def test_this_month_on_the_last_day_tiles_the_time_line_and_ends_after_the_run(place, clock):
    name, day = place
    rule = recurrence({"kind": "monthly", "days": ["last"], "time": clock.isoformat()}, name)
    found = list(rule.occurrences(*around(name, day, 400)))
    cut = [period(Period(kind="this_month"), at, rule.zone, day=rule.day_of(at)) for at in found]
    assert all(one.end == two.start for one, two in pairwise(cut))
    assert all(one.end >= at for one, at in zip(cut, found, strict=True))
    assert all(
        local(one.start, rule.zone).day == 1
        for one in cut
        if day_exists(local(one.start, rule.zone).date(), rule.zone)
    )


@pytest.mark.parametrize(
    ("kind", "document"),
    [
        ("previous_day", {"kind": "daily"}),
        ("previous_week", {"kind": "weekly", "days": ["wednesday"]}),
        ("previous_month", {"kind": "monthly", "days": [5]}),
        ("previous_quarter", {"kind": "quarter_end"}),
        ("this_day", {"kind": "daily"}),
        ("this_week", {"kind": "weekly", "days": ["sunday"]}),
        ("this_quarter", {"kind": "quarter_end"}),
    ],
)
@given(place=places(), clock=clocks)
@examples(50)
def test_whole_units_tile_the_time_line_when_the_schedule_fires_once_in_each(kind, document, place, clock):
    name, day = place
    rule = recurrence({**document, "time": clock.isoformat()}, name)
    reach = {"day": 8, "week": 40, "month": 200, "quarter": 700}[kind.split("_")[1]]
    found = list(rule.occurrences(*around(name, day, reach)))
    cut = [period(Period(kind=kind), at, rule.zone, day=rule.day_of(at)) for at in found]
    assert len(cut) > 3
    assert all(one.end == two.start for one, two in pairwise(cut))
    assert all(one.start < one.end for one in cut)


@pytest.mark.parametrize("kind", ["last_7_days", "last_30_days", "last_90_days", "last_3_months", "last_12_months", "last_24_months", "month_to_date", "quarter_to_date", "year_to_date", "previous_day", "previous_month", "all_time"])  # fmt: skip
@given(place=places(), clock=clocks)
@examples(40)
def test_no_such_period_holds_the_current_day(kind, place, clock):
    name, day = place
    where = ZoneInfo(name)
    at = instant_at(day, clock, where)
    today = local(at, where).date()
    found = period(Period(kind=kind), at, where)
    assert found.end <= start_of(today, where) <= at
    assert last_day_before(found.end, where) < today or today == last_day_before(
        start_of(today, where), where
    )
    assert found.start is None or found.start < found.end


@given(place=places(), clock=clocks, later=clocks)
@examples(200)
def test_an_instant_is_the_first_at_which_the_local_clock_has_come_so_far(place, clock, later):
    name, day = place
    where = ZoneInfo(name)
    at = instant_at(day, clock, where)
    wall = datetime.combine(day, clock)
    assert local(at, where) >= wall
    assert local(at - timedelta(microseconds=1), where) < wall
    if later >= clock:
        assert instant_at(day, later, where) >= at


@each_kind
@given(data=st.data(), name=zones)
@examples(30)
def test_a_recurrence_survives_its_document(kind, data, name):
    document = data.draw(documents(kind))
    bounds = data.draw(
        st.fixed_dictionaries({}, optional={"start": st.just("2026-01-01"), "end": st.just("2035-01-01")})
    )
    rule = recurrence({**document, **bounds}, name)
    assert Recurrence.from_document(rule.document()) == rule


@each_kind
@given(data=st.data(), place=places())
@examples(40)
def test_start_and_end_bound_the_days(kind, data, place):
    name, day = place
    document = data.draw(documents(kind))
    end = day + timedelta(days=SPAN[kind])
    bounded = recurrence({**document, "start": day.isoformat(), "end": end.isoformat()}, name)
    free = recurrence(document, name)
    wide = around(name, day, 2 * SPAN[kind])
    due = [at for at in free.occurrences(*wide) if day <= free.day_of(at) < end]
    got = list(bounded.occurrences(*wide))
    lost = [
        each
        for each in (day, day - timedelta(days=1), end, end - timedelta(days=1))
        if not day_exists(each, free.zone)
    ]
    assume(not lost)
    assert got == due
    assert bounded.next_after(wide[0]) == got[0]
    assert bounded.previous_before(wide[1]) == got[-1]
    assert bounded.next_after(got[-1]) is None
    assert bounded.previous_before(got[0]) is None
    assert bounded.previous_before(got[0], bounded=False) == free.previous_before(got[0])


@given(place=places(), clock=clocks)
@examples(60)
def test_once_fires_once(place, clock):
    name, day = place
    rule = Recurrence(Once(kind="once", date=day, time=clock), name)
    at = instant_at(day, clock, rule.zone)
    assert list(rule.occurrences(*around(name, day, 5))) == [at]
    assert rule.next_after(at - timedelta(days=4000)) == at
    assert rule.next_after(at - timedelta(microseconds=1)) == at
    assert rule.next_after(at) is None
    assert rule.previous_before(at) is None
    assert rule.previous_before(at + timedelta(days=4000)) == at
    assert Recurrence.from_document(rule.document()) == rule
