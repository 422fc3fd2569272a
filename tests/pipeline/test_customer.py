"""A look at one customer: the numbers of the exports, to the hundredth; nobody who was erased; every look is told."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from include.errors import BadInput
from include.ledger.people import Name
from include.pipeline import Context
from include.pipeline import customer as customers
from include.pipeline.customer import look, owner_of
from include.pipeline.customer_figures import Figures, View
from include.pipeline.customer_log import LAYOUTS, Log, log
from include.pipeline.customer_picked import ENTRIES_PER_PAGE, Filter
from include.pipeline.erase import erase
from include.settings import Settings
from include.snapshots.excerpt import Holder
from include.state.audit import Action
from include.state.looked import Person
from include.state.tables import instant, microseconds
from tests.pipeline.customers import Whole, whole
from tests.pipeline.people import WHO

pytestmark = pytest.mark.slow  # it reads a whole sample ledger, or starts processes

ZONE = "Europe/Paris"
BY = "ann"


def of(customer_id: str) -> Holder:
    return Holder(Name.CUSTOMER, customer_id)


def seen(context: Context, holder: Holder, **view: Any) -> customers.Customer:
    found = look(context, holder, View(**({"zone": ZONE} | view)), by=BY)
    assert found is not None
    return found


@pytest.fixture(scope="session")
def ledger(ledger_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    with whole(ledger_url, tmp_path_factory.mktemp("whole")) as read:
        yield read


def every_entry(context: Context, holder: Holder, at: int, **shown: Any) -> list[dict[str, Any]]:
    """The transactions of all pages, the oldest first."""
    rows: list[dict[str, Any]] = []
    page = 1
    while True:
        figures = seen(context, holder, at=at, shown=Filter(page=page, **shown)).figures
        rows += figures.entries
        if len(rows) >= figures.entries_total or not figures.entries:
            assert len(rows) == figures.entries_total
            return rows[::-1]
        page += 1


def by_instant(rows: list[dict[str, Any]], moment: str) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: row[moment])


def same_as_exports(context: Context, ledger: Whole, at: int, holders: list[str], scratch: Path) -> None:
    """Whatever the page shows of these is what the reports of the whole ledger say of them."""
    reports = {
        name: ledger.report(name, at, ZONE, scratch)
        for name in (
            "balance",
            "customer balance",
            "history",
            "lots",
            "allocations",
            "projection",
            "redemption",
        )
    }
    for who in holders:
        of_whole = {name: [row for row in rows if ledger.of(row) == who] for name, rows in reports.items()}
        holder = Holder(Name.CARD, who.removeprefix("card ")) if who.startswith("card ") else of(who)
        figures = seen(context, holder, at=at, all_lots=True).figures
        assert figures.accounts == of_whole["balance"], who
        assert figures.projected == of_whole["projection"], who
        assert sorted(figures.lots, key=str) == sorted(of_whole["lots"], key=str), who
        assert figures.lots_open == sum(row["remaining"] > 0 for row in of_whole["lots"])
        assert every_entry(context, holder, at) == by_instant(of_whole["history"], "created_at"), who
        ids = {row["transaction_id"] for row in figures.entries} | {row["lot_id"] for row in figures.lots}
        traced = [row for row in of_whole["allocations"] if {row["debit_id"], row["lot_id"]} & ids]
        assert figures.traced == traced, who
        newest = by_instant(of_whole["redemption"], "redeemed_at")[::-1][:ENTRIES_PER_PAGE]
        assert sorted(figures.redeemed, key=str) == sorted(newest, key=str), who
        # What a program's accounts add up to is what the export of customers says.
        for row in of_whole["customer balance"]:
            of_program = [one for one in figures.accounts if one["program_id"] == row["program_id"]]
            for name in ("active", "pending", "expired", "spent", "negative_balance", "points_balance"):
                assert sum(one[name] for one in of_program) == row[name], (who, name)


def some_holders(ledger: Whole, at: int, scratch: Path, every: int) -> list[str]:
    """Holders of all kinds: with and without cards, and cards that nobody owns."""
    found = {ledger.of(row) for row in ledger.report("balance", at, ZONE, scratch)}
    named = sorted(who for who in found if who is not None)
    alone = [who for who in named if who.startswith("card ")]
    owning = sorted({who for who in ledger.owners.values() if who in found})
    return sorted({*named[::every], *alone[:2], *owning[:2]})


def test_a_page_shows_what_the_exports_say(context: Context, ledger: Whole, tmp_path: Path) -> None:
    at = microseconds(datetime(2026, 6, 15, 22, tzinfo=UTC))
    holders = some_holders(ledger, at, tmp_path, 60)
    assert any(who.startswith("card ") for who in holders)
    assert any(who in holders for who in ledger.owners.values())
    same_as_exports(context, ledger, at, holders, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "at",
    [
        datetime(2023, 9, 1, tzinfo=UTC),
        datetime(2024, 2, 29, 12, 30, tzinfo=UTC),
        datetime(2025, 3, 29, 23, tzinfo=UTC),  # midnight in Paris, on the day of a change of clocks
        datetime(2026, 7, 1, tzinfo=UTC),
        datetime(2027, 5, 1, tzinfo=UTC),  # a projection
    ],
)
def test_it_does_so_at_any_instant_for_everybody(
    context: Context, ledger: Whole, tmp_path: Path, at: datetime
) -> None:
    moment = microseconds(at)
    same_as_exports(context, ledger, moment, some_holders(ledger, moment, tmp_path, 25), tmp_path)


def test_at_the_very_instant_of_a_row_it_is_not_there_yet(
    context: Context, ledger: Whole, tmp_path: Path
) -> None:
    now = ledger.read_at
    history = ledger.report("history", now, ZONE, tmp_path)
    row = next(
        row for row in history if row["type"] == "redeemed" and row["card_id"] is None and row["customer_id"]
    )
    holder = of(str(ledger.of(row)))
    at = microseconds(row["created_at"])
    ids = [entry["transaction_id"] for entry in every_entry(context, holder, at)]
    later = [entry["transaction_id"] for entry in every_entry(context, holder, at + 1)]
    assert row["transaction_id"] not in ids
    assert row["transaction_id"] in later


def test_before_the_first_row_there_is_nothing_and_nothing_is_wrong(
    context: Context, ledger: Whole, tmp_path: Path
) -> None:
    who = some_holders(ledger, ledger.read_at, tmp_path, 100)[0]
    figures = seen(context, of(who), at=0).figures
    assert (figures.accounts, figures.lots, figures.entries, figures.projected) == ([], [], [], [])


@pytest.fixture
def busy(context: Context, ledger: Whole, tmp_path: Path) -> Holder:
    """Whoever has most transactions."""
    count: dict[str, int] = {}
    for row in ledger.report("history", ledger.read_at, ZONE, tmp_path):
        who = ledger.of(row)
        if who is not None and not who.startswith("card "):
            count[who] = count.get(who, 0) + 1
    return of(max(count, key=lambda who: count[who]))


@pytest.mark.parametrize(
    ("shown", "holds"),
    [
        ({"types": ("redeemed", "expired")}, lambda row: row["type"] in {"redeemed", "expired"}),
        ({"program": "club"}, lambda row: row["program_id"] == "club"),
        ({"purse": "base"}, lambda row: row["subledger_id"] == "base"),
        ({"purse": ""}, lambda row: row["subledger_id"] == ""),
        ({"text": "POINTS for"}, lambda row: "points for" in (row["reason"] or "").lower()),
        (
            {"since": microseconds(datetime(2025, 1, 1, tzinfo=UTC)), "before": microseconds(datetime(2026, 1, 1, tzinfo=UTC))},
            lambda row: row["created_at"].year == 2025,
        ),
        ({"text": "(.*"}, lambda row: False),  # a text is no pattern
    ],
)  # fmt: skip
def test_filters_keep_what_they_say(
    context: Context, ledger: Whole, busy: Holder, shown: dict[str, Any], holds: Callable[[Any], bool]
) -> None:
    everything = every_entry(context, busy, ledger.read_at)
    kept = every_entry(context, busy, ledger.read_at, **shown)
    assert kept == [row for row in everything if holds(row)]


def test_open_lots_come_first_what_expires_next_before(context: Context, busy: Holder) -> None:
    lots = seen(context, busy).figures.lots
    still = [row for row in lots if row["remaining"] > 0]
    assert lots[: len(still)] == still
    ends = [row["expires_at"] for row in still if row["expires_at"]]
    assert ends == sorted(ends)
    assert all(row["expires_at"] is None for row in still[len(ends) :])


def test_a_long_history_is_booked_apart_and_shows_the_same(
    context: Context, busy: Holder, monkeypatch: pytest.MonkeyPatch, inline: None
) -> None:
    here = seen(context, busy, at=microseconds(datetime(2026, 7, 1, tzinfo=UTC)))
    monkeypatch.setattr(customers, "ROWS_IN_PLACE", 10)
    apart = seen(context, busy, at=microseconds(datetime(2026, 7, 1, tzinfo=UTC)))
    assert apart.large
    assert not here.large
    assert apart.figures == here.figures


@pytest.mark.slow
def test_a_process_of_its_own_does_it_too(
    context: Context, busy: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = microseconds(datetime(2026, 7, 1, tzinfo=UTC))
    here = seen(context, busy, at=at)
    monkeypatch.setattr(customers, "ROWS_IN_PLACE", 10)
    assert seen(context, busy, at=at).figures == here.figures
    assert not [path for path in context.settings.scratch.iterdir() if path.is_dir()]


class TestSmall:
    """A household: shared cards, a card of nobody, an erasure."""

    def test_a_customer_has_the_cards_that_the_customer_owns_and_all_that_happened_on_them(
        self, small: Context
    ) -> None:
        figures = seen(small, of(WHO)).figures
        assert {row["holder_id"]: row["active"] for row in figures.accounts} == {
            WHO: 100_00 - 30_00,
            "card-own": 50_00,
            "card-shared": 20_00 - 5_00,  # 5 were spent by somebody else
        }
        assert {row["customer_id"] for row in figures.entries if row["card_id"] == "card-shared"} == {
            WHO,
            "customer-0002",
        }

    def test_who_only_used_a_card_does_not_have_it(self, small: Context) -> None:
        [account] = seen(small, of("customer-0002")).figures.accounts
        assert (account["holder_id"], account["active"]) == ("customer-0002", 40_00)

    def test_a_card_without_owner_has_a_page_of_its_own(self, small: Context) -> None:
        figures = seen(small, Holder(Name.CARD, "card-free")).figures
        assert [(row["holder_kind"], row["holder_id"], row["active"]) for row in figures.accounts] == [
            ("card", "card-free", 7_00)
        ]
        assert owner_of(small, "card-free") is None
        assert owner_of(small, "card-own") == WHO

    @pytest.mark.parametrize(
        "name",
        [
            "nobody",
            "",
            "CUSTOMER-0001",
            " customer-0001",
            "customer-0001\0",
            "\ud800",
            "x" * 501,
            "' OR 1=1 --",
            "%",
            "customer_0001",
        ],
    )
    def test_whom_nobody_knows(self, small: Context, name: str) -> None:
        assert look(small, of(name), View(), by=BY) is None
        assert small.state.audit.newest(action=Action.CUSTOMER_SEEN) == []

    @pytest.mark.slow
    def test_who_was_erased_is_known_no_more(self, small: Context, monkeypatch: pytest.MonkeyPatch) -> None:
        before = seen(small, of(WHO))
        subject = small.state.looked.subjects(Name.CUSTOMER, WHO)
        done = erase(small, customer=WHO)
        assert look(small, of(WHO), View(), by=BY) is None
        assert look(small, of(done.pseudonym), View(), by=BY) is None
        assert look(small, Holder(Name.CARD, "card-own"), View(), by=BY) is None
        assert owner_of(small, "card-own") is None
        # Of somebody else's card nothing says who used it.
        rows = seen(small, of("customer-0002")).figures
        assert WHO not in str(rows)
        # The audit chain says as before that somebody was looked at; who that was is gone.
        [told] = small.state.audit.newest(subject=subject[0])
        assert told.action == Action.CUSTOMER_SEEN
        assert small.state.looked.name(subject[0]) == Person(Name.CUSTOMER, done.pseudonym)
        assert small.state.looked.subjects(Name.CUSTOMER, WHO) == []
        assert before.rows == 5
        # A process of its own knows them too: the key comes with what it is asked.
        monkeypatch.setattr(customers, "ROWS_IN_PLACE", 0)
        assert look(small, of(WHO), View(), by=BY) is None
        assert seen(small, of("customer-0002")).figures.accounts == rows.accounts

    def test_every_look_is_told_and_names_nobody(self, small: Context) -> None:
        seen(small, of(WHO))
        seen(small, of(WHO))
        seen(small, of("customer-0003"))
        told = small.state.audit.newest(action=Action.CUSTOMER_SEEN)
        assert [each.actor for each in told] == [BY] * 3
        first, second, third = (each.subject for each in told)
        assert second == third
        assert first != second
        assert "customer-000" not in str(told)
        assert small.state.looked.subjects(Name.CUSTOMER, WHO) == [second]


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


def test_the_zone_is_that_of_the_program_with_most_transactions(
    context: Context, ledger: Whole, busy: Holder, tmp_path: Path
) -> None:
    figures = seen(context, busy, zone="").figures
    assert figures.zone in figures.zones.values()
    assert figures.zones == {"club": "Europe/Paris", "travel": "America/New_York"}


def test_a_ledger_with_the_least_there_can_be(
    sqlite_ledger: str, settings_for: Callable[..., Settings]
) -> None:
    engine = sa.create_engine(sqlite_ledger)
    with engine.begin() as connection:
        for statement in (
            "CREATE TABLE programs (program_id TEXT, name TEXT, currency TEXT, time_zone TEXT)",
            "CREATE TABLE customers (customer_id TEXT)",
            "CREATE TABLE transactions (transaction_id TEXT, program_id TEXT, customer_id TEXT, type TEXT, points INTEGER, created_at INTEGER)",
            "INSERT INTO programs VALUES ('p', 'P', 'EUR', 'EST')",
            "INSERT INTO transactions VALUES ('t1', 'p', 'c', 'earned', 1000, 1000000), ('t2', 'p', 'c', 'redeemed', -400, 2000000)",
            "INSERT INTO customers VALUES ('c'), ('idle')",
        ):
            connection.exec_driver_sql(statement)
    engine.dispose()
    context = Context(settings_for(sqlite_ledger))
    figures = look(context, of("c"), View(), by=BY)
    assert figures is not None
    assert [row["active"] for row in figures.figures.accounts] == [6_00]
    assert figures.figures.zone == "UTC"  # EST is no zone of a place
    assert [row["lot_id"] for row in figures.figures.traced] == ["t1"]
    idle = look(context, of("idle"), View(), by=BY)
    assert idle is not None
    assert (idle.rows, idle.figures.accounts, idle.figures.entries) == (0, [], [])
    assert instant(idle.figures.at) - datetime.now(UTC) < timedelta(minutes=1)
    assert isinstance(idle.figures, Figures)
