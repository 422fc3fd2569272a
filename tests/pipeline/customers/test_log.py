"""The log of one customer as a file: the history by time, in the layouts of other systems, and who took it is told."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from include.errors import BadInput
from include.ledger.people import Name
from include.pipeline import Context
from include.pipeline.customers.log import LAYOUTS, Log, log
from include.snapshots.excerpt import Holder
from include.state.audit import Action
from include.state.looked import Person
from include.state.tables import microseconds
from tests.pipeline.customers.looks import BY, ZONE, of, seen
from tests.pipeline.customers.whole import Whole

pytestmark = pytest.mark.slow  # it reads a whole sample ledger, or starts processes


def shown(context: Context, holder: Holder, wanted: Log) -> list[list[str]]:
    with log(context, holder, wanted, by=BY) as made:
        assert made is not None
        text = made.path.read_text("utf-8")
        assert made.path.parent.parent == context.settings.scratch
    assert not made.path.exists()
    return list(csv.reader(io.StringIO(text), delimiter=wanted.options.get("delimiter", ",")))


def test_the_log_is_the_history_by_time(
    context: Context, ledger: Whole, busy: Holder, tmp_path: Path
) -> None:
    header, *rows = shown(context, busy, Log())
    expected = [
        row for row in ledger.report("history", ledger.read_at, ZONE, tmp_path) if ledger.of(row) == busy.id
    ]
    assert header[:3] == ["transaction_id", "program_id", "subledger_id"]
    assert sorted(row[0] for row in rows) == sorted(row["transaction_id"] for row in expected)
    at, change, after = (header.index(name) for name in ("created_at", "points_change", "balance_after"))
    assert [row[at] for row in rows] == sorted(row[at] for row in rows)
    figures = {row["transaction_id"]: (row["points_change"], row["balance_after"]) for row in expected}
    for row in rows:
        assert (round(float(row[change]) * 100), round(float(row[after]) * 100)) == figures[row[0]]


def test_a_log_of_a_period_in_the_layout_and_the_dates_of_another_system(
    context: Context, ledger: Whole, busy: Holder, tmp_path: Path
) -> None:
    since, before = (microseconds(datetime(year, 1, 1, tzinfo=UTC)) for year in (2025, 2026))
    wanted = Log("talon_one.customer_ledger", since, before, options={"instants": "excel", "delimiter": ";"})
    header, *rows = shown(context, busy, wanted)
    assert ",".join(header) == (
        "customerprofileid,customersessionid,rulesetid,rulename,programid,type,name,subledgerid,startdate,expirydate,"
        "id,created,amount,archived,campaignid,flags,transactionUUID"
    )
    expected = [
        row
        for row in ledger.report("history", ledger.read_at, ZONE, tmp_path)
        if ledger.of(row) == busy.id
        and row["created_at"].year == 2025
        and not row["transaction_id"].startswith("expiry:")
    ]
    assert sorted(row[10] for row in rows) == sorted(row["transaction_id"] for row in expected)
    assert rows
    for row in rows:
        assert re.fullmatch(r"2025-\d\d-\d\d \d\d:\d\d:\d\d", row[11])


def test_days_to_come_are_not_in_a_log(context: Context, busy: Holder) -> None:
    next_year, far = (
        microseconds(datetime(year, 1, 1, tzinfo=UTC)) for year in (datetime.now(UTC).year + 1, 2190)
    )
    # Points that will expire are there: a projection would have rows of them.
    projected = seen(context, busy, at=far).figures.entries_total
    assert len(shown(context, busy, Log(before=far))) == len(shown(context, busy, Log())) < projected + 1
    assert len(shown(context, busy, Log(since=next_year, before=far))) == 1


def test_taking_a_log_is_told_with_the_hash_of_the_file(context: Context, busy: Holder) -> None:
    import hashlib

    with log(context, busy, Log("wupsales.history"), by=BY) as made:
        assert made is not None
        digest = hashlib.sha256(made.path.read_bytes()).hexdigest()
    [told] = context.state.audit.newest(action=Action.CUSTOMER_EXPORTED)
    assert (told.actor, told.detail["sha256"], told.detail["layout"]) == (BY, digest, "wupsales.history")
    assert told.detail["rows"] == made.rows
    assert context.state.looked.name(told.subject) == Person(Name.CUSTOMER, busy.id)


def test_all_that_is_wrong_with_a_log_is_told_at_once(context: Context, busy: Holder) -> None:
    wanted = Log(
        "joy.customers",
        5,
        5,
        options={"delimiter": "xx", "encoding": "ebcdic", "instants": "EST", "nonsense": 1},
    )
    with pytest.raises(BadInput) as refused, log(context, busy, wanted, by=BY):
        raise AssertionError
    assert {problem.where for problem in refused.value.problems} == {
        "layout", "before", "delimiter", "encoding", "instants", "nonsense",
    }  # fmt: skip
    assert context.state.audit.newest(action=Action.CUSTOMER_EXPORTED) == []


def test_a_log_of_nobody(context: Context) -> None:
    with log(context, of("nobody"), Log(), by=BY) as made:
        assert made is None
    assert context.state.audit.newest(action=Action.CUSTOMER_EXPORTED) == []


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_program_alone(context: Context, busy: Holder, layout: str) -> None:
    header, *every = shown(context, busy, Log(layout))
    _, *some = shown(context, busy, Log(layout, program="club"))
    _, *none = shown(context, busy, Log(layout, program="no such program"))
    assert none == []
    assert 0 < len(some) <= len(every)
    if layout == "history":
        place = header.index("program_id")
        assert some == [row for row in every if row[place] == "club"]
