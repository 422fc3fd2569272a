"""Instants, ids and points as the vendor writes them: properties, and pages that hold every row once."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.ledger.people import Name
from include.pipeline.holders.transactions import Which, transactions, uuid_of
from include.snapshots.excerpt import Holder
from include.web.api.talon_one.entries import number_of, points
from include.web.api.talon_one.parameters import instant_of, listed, written
from include.web.guard import Guard
from tests.layouts.tiny import Desk

ZONES = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
FIRST, LAST = datetime(2, 1, 1), datetime(9998, 12, 31)  # noqa: DTZ001 - Hypothesis adds the zone
INSTANTS = st.datetimes(FIRST, LAST, timezones=ZONES)


@given(INSTANTS, st.sampled_from(["T", "t", " "]))
def test_every_instant_is_read_as_it_was_written(moment: datetime, between: str):
    assert instant_of(moment.isoformat().replace("T", between, 1)) == moment
    assert instant_of(written(moment)) == moment


@given(st.datetimes(FIRST, LAST))
def test_without_a_zone_it_is_utc_and_without_a_time_midnight(moment: datetime):
    assert instant_of(moment.isoformat()) == moment.replace(tzinfo=UTC)
    assert instant_of(moment.date().isoformat()) == datetime.combine(moment, datetime.min.time(), UTC)


@given(st.text(max_size=40))
def test_any_text_is_an_instant_or_refused(text: str):
    with suppress(ValueError):
        assert instant_of(text).tzinfo is UTC


def test_more_digits_than_a_microsecond_has_are_cut():
    assert instant_of("2026-03-01T00:00:00.1234567Z").microsecond == 123456


@given(st.lists(st.text(max_size=5), max_size=5))
def test_lists_are_repeated_or_have_commas(texts: list[str]):
    assert listed([",".join(texts)]) == listed([part for text in texts for part in text.split(",")])


@given(st.lists(st.text(min_size=1, max_size=20), min_size=2, max_size=50, unique=True))
def test_ids_are_numbers_that_every_client_can_hold(names: list[str]):
    numbers = [number_of(name) for name in names]
    assert all(0 <= number < 2**53 for number in numbers)
    assert numbers == [number_of(name) for name in names]
    assert len(set(numbers)) == len(names)


@given(st.integers(0, 2**52 - 1))
def test_an_id_that_is_a_number_stays(number: int):
    assert number_of(str(number)) == number
    assert number_of(f"0{number}") >= 2**52


@pytest.mark.parametrize(
    ("name", "details", "expected"),
    [
        (
            "T",
            {"transactionUUID": "0F8FAD5B-D9CB-469F-A165-70867728950E"},
            "0f8fad5b-d9cb-469f-a165-70867728950e",
        ),
        ("0f8fad5b-d9cb-469f-a165-70867728950e", {}, "0f8fad5b-d9cb-469f-a165-70867728950e"),
        ("T", {"transactionUUID": 7}, None),
        ("T", {}, None),
    ],
)
def test_uuids(name: str, details: dict[str, object], expected: str | None):
    found = uuid_of(name, details)
    assert found == (expected or found)
    assert (expected is None) == (uuid.UUID(found).version == 5)


@given(st.integers(-(10**15), 10**15))
def test_points_lose_nothing(hundredths: int):
    assert round(points(hundredths) * 100) == hundredths
    assert isinstance(points(hundredths), int) == (hundredths % 100 == 0)


@given(st.integers(1, 130), st.integers(0, 130))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_pages_hold_every_transaction_once(desk: Desk, size: int, skip: int):
    who = Holder(Name.CUSTOMER, "mo")
    found = transactions(desk.context, who, Which("p", skip=skip, count=size), by="tests")
    assert found is not None
    expected = [f"m{n:03}" for n in range(119, -1, -1)]
    assert [row["transaction_id"] for row in found.rows] == expected[skip : skip + size]
    assert found.more == (skip + size < 120)


def test_by_uuid_and_by_session(desk: Desk):
    ann = Holder(Name.CUSTOMER, "ann")
    by_uuid = Which("p", uuids=(uuid_of("A", {}), uuid_of("T1", {})))
    found = transactions(desk.context, ann, by_uuid, by="tests")
    assert found is not None
    assert [row["transaction_id"] for row in found.rows] == ["A"]  # T1 has a UUID of its own
    found = transactions(desk.context, ann, Which("p", sessions=("s1", "s2")), by="tests")
    assert found is not None
    assert [row["transaction_id"] for row in found.rows] == ["A"]


@pytest.mark.parametrize(
    ("path", "logged"),
    [
        (
            "/talon-one/v1/loyalty_programs/7/profile/ann/balances",
            "/talon-one/v1/loyalty_programs/7/profile/***",
        ),
        (
            "/talon-one/v1/loyalty_programs/7/cards/K1/export_log",
            "/talon-one/v1/loyalty_programs/7/cards/***",
        ),
        ("/talon-one/v1/customer_profiles/a/b/inventory", "/talon-one/v1/customer_profiles/***"),
        ("/api/v1/customers/ann/balance", "/api/v1/customers/***"),
        ("/talon-one/v1/loyalty_programs/7/statistics", "/talon-one/v1/loyalty_programs/7/statistics"),
    ],
)
def test_logs_of_requests_name_nobody(path: str, logged: str):
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["path"])

    scope = {"type": "http", "path": path, "root_path": "", "query_string": b"", "headers": []}
    asyncio.run(Guard(app)(scope, None, None))
    assert seen == [path]
    assert (scope["path"], scope["raw_path"]) == (logged, logged.encode())


def test_what_was_booked_on_a_card_is_the_cards(desk: Desk):
    both = Holder(Name.CUSTOMER, "bob"), Holder(Name.CARD, "K1")
    found = [transactions(desk.context, each, Which("p"), by="tests") for each in both]
    assert [[row["transaction_id"] for row in each.rows] for each in found if each] == [["E"], ["D"]]
