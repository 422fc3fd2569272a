"""Runs of one snapshot are made in one pass, each with the bytes that it has alone; what fails is one run's matter."""

from __future__ import annotations

import pickle
import signal
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml

from include import pipeline
from include.connections import Connection, missing
from include.definitions.model import ExportDefinition
from include.errors import BadInput, LedgerViolation, NotYet, Permanent, Problem
from include.pipeline import Context, render_stage, together
from include.pipeline.erasure import erase
from include.pipeline.shared_reports import ReportFailed
from include.reports import balance, lots
from include.settings import Settings
from include.state.audit import Action
from include.state.runs import RunRecord, RunStatus
from include.state.tables import LEASES
from tests.forks import ended, forked, kill_at
from tests.pipeline.people import CLEAR, WHO, kept_of, rows
from tests.pipeline.test_steps import AT
from tests.state.expiry import expire

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("inline")]
Define = Callable[..., ExportDefinition]
KNOWN = datetime(2026, 7, 1, tzinfo=UTC)
MARCH = {"model": "history", "period": "previous_month"}
ENCRYPTED = {"kind": "zip_aes", "options": {"password_from": "zip"}}


def resolve(name: str) -> Connection:
    if name != "zip":
        raise missing(name)
    return Connection("zip", password="correct horse battery staple 4711")


def several(define: Define) -> list[ExportDefinition]:
    """Unlike each other: one cut, two, none; a pack, other formats."""
    parts = [{"id": "balances", "model": "balance"}, {"id": "history", "model": "history"}]
    return [
        define(id="balances", fields=["holder_id", "active"]),
        define(id="history", **MARCH),
        define(id="liability", fields=["program_id", "closing"], model="liability", period="previous_month", file={"format": "jsonl"}),
        define(id="pack", model=None, period="previous_month", exports=parts, bundle="zip", file={}),
        define(id="people", model="customers", fields=["customer_id", "tier"]),
        define(id="lots", model="lots", file={"format": "xlsx"}),
    ]  # fmt: skip


def due(context: Context, *definitions: ExportDefinition, at: datetime = AT) -> list[str]:
    """Runs that are pinned and have the one snapshot of all definitions."""
    context.settings.exports.mkdir(parents=True, exist_ok=True)
    for each in definitions:
        (context.settings.exports / f"{each.id}.yaml").write_text(yaml.safe_dump(each.document()))
    keys = [pipeline.pin(context, x, occurrence=at, known_at=KNOWN).run_key for x in definitions]
    for key in keys:
        pipeline.snapshot(context, key)
    return keys


def made(context: Context, key: str) -> list[dict[str, Any]] | None:
    return context.state.runs.get(key).artefacts


def alone(settings: Settings, *definitions: ExportDefinition, at: datetime = AT) -> list[Any]:
    """What each run makes in an installation of its own, alone."""
    context, found = Context(settings, resolve), []
    for key in due(context, *definitions, at=at):
        pipeline.render(context, key)
        found.append(made(context, key))
    return found


def whom(context: Context, keys: list[str]) -> list[str]:
    """With whom each run says it was made, whatever stage was the last that it told of."""
    told = [context.state.runs.get(key).stage.partition(" ") for key in keys]
    return [rest if first in {"render", "partition", "book", "write"} else first for first, _, rest in told]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)])
def at_work(
    request: pytest.FixtureRequest, ledger_url: str, settings_for: Callable[..., Settings]
) -> Context:
    """A context whose state is in each kind of database."""
    settings = settings_for(ledger_url)
    if request.param == "postgresql":
        settings = replace(settings, state_url=request.getfixturevalue("postgres_ledger"))
    return Context(settings, resolve)


def test_whoever_renders_first_makes_the_files_of_all_with_the_bytes_that_each_has_alone(
    at_work: Context, define: Define, ledger_url: str, settings_for: Callable[..., Settings]
) -> None:
    definitions = several(define)
    keys = due(at_work, *definitions)
    seen: list[str] = []
    files = pipeline.render(at_work, keys[1], lambda stage, *_: seen.append(stage), with_others=True)
    assert [made(at_work, key) for key in keys] == alone(settings_for(ledger_url, "alone"), *definitions)
    assert files == made(at_work, keys[1])
    assert set(seen) == {"render", "partition", "book", "write"}
    # The others find theirs: nobody makes another pass.
    assert [pipeline.render(at_work, key, pytest.fail, with_others=True) for key in keys] == [
        made(at_work, key) for key in keys
    ]
    leader = f"with run {keys[1][:12]}"
    assert whom(at_work, keys) == [leader, "with 5 other runs", *[leader] * 4]
    told = {
        each.subject: each.detail.get("made_by")
        for each in at_work.state.audit.newest(action=Action.RENDERED)
    }
    assert told == {key: None if key == keys[1] else keys[1] for key in keys}
    with at_work.state.database.read() as connection:
        assert (
            list(connection.execute(sa.select(LEASES.c.name).where(LEASES.c.name.startswith("render")))) == []
        )
    for key in keys:
        pipeline.deliver(at_work, key, 0)
        assert pipeline.settle(at_work, key)["status"] == "done"


def test_what_many_ask_is_reported_once(
    context: Context, define: Define, ledger_url: str, settings_for: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """Other columns, rows, orders and files of one report; a part that one may leave out is another report."""
    file = {"compression": "none"}
    definitions = [
        define(id="all"),
        define(id="narrow", fields=["holder_id", "active"], file=file),
        define(id="rich", filters=[{"field": "active", "more_than": 100}], file=file | {"format": "jsonl"}),
        define(id="sorted", order=["-active", "holder_id"], limit=50, file=file),
        define(id="sums", aggregation=[{"field": "program_id", "function": "group"}, {"field": "active", "function": "sum"}]),
        define(id="sheet", fields=["holder_id", "pending"], file={"format": "xlsx"}),
        define(id="cut", file=file | {"split": {"field": "program_id"}}),
        define(id="spared", model=None, file={}, exports=[{"id": "b", "model": "balance", "if_missing": "leave_out"}]),
    ]  # fmt: skip
    expected = alone(settings_for(ledger_url, "alone"), *definitions)
    genuine, asked = balance.report, []
    monkeypatch.setattr(balance, "report", lambda *given: asked.append(given[0]) or genuine(*given))
    keys = due(context, *definitions)
    pipeline.render(context, keys[3], with_others=True)
    assert [made(context, key) for key in keys] == expected
    assert len(asked) == 2
    assert asked[0].wants("points_balance")
    assert asked[0].keep is None


def test_the_command_line_takes_nobody_along(context: Context, define: Define) -> None:
    one, other = due(context, define(id="one"), define(id="other"))
    pipeline.render(context, one)
    assert made(context, other) is None


def test_months_of_a_backfill_share_a_pass(
    context: Context, define: Define, ledger_url: str, settings_for: Callable[..., Settings]
) -> None:
    """Their accounts are booked at other instants, and each manifest tells what was seen at its own."""
    history = define(id="history", **MARCH)
    months = [datetime(2026, month, 2, 5, tzinfo=UTC) for month in (6, 4, 5)]
    keys = [key for month in months for key in due(context, history, at=month)]
    pipeline.render(context, keys[0], with_others=True)
    expected = {key: made(context, key) for key in keys}
    assert all(expected.values())
    # Numbers of the chain go by period.
    assert [link.run_key for link in context.state.chain.list("history")] == [keys[1], keys[2], keys[0]]
    settings = settings_for(ledger_url, "alone")
    for month, key in sorted(zip(months, keys, strict=True)):
        assert alone(settings, history, at=month) == [expected[key]]


def test_what_fails_is_the_matter_of_one_run(
    small: Context, define: Define, settings_for: Callable[..., Settings]
) -> None:
    """A relation that the ledger lacks, a text that is no JSON, a key that is gone, an empty file: and one that is well."""
    with sa.create_engine(small.settings.ledger_url).begin() as connection:
        connection.exec_driver_sql(
            "UPDATE customers SET metadata = 'junk' WHERE customer_id = 'customer-0003'"
        )
        connection.exec_driver_sql("DROP TABLE redemptions")
    small = replace(small, connections=resolve)
    well = define(id="well")
    file = {"compression": "none", "encryption": ENCRYPTED}
    wrong = {
        "lacks": (define(id="lacks", model="redemptions"), BadInput, "redemptions"),
        "junk": (define(id="junk", model="customers", fields=["customer_id", "metadata.visits"], **CLEAR), LedgerViolation, "JSON"),
        "closed": (define(id="closed", file=file), BadInput, "no such connection"),
        "empty": (define(id="empty", filters=[{"field": "active", "more_than": 10**9}], conditions={"when_empty": "fail"}), Permanent, "no file of this run has a row"),
    }  # fmt: skip
    definitions = [well, *(each for each, _, _ in wrong.values()), define(id="also", **MARCH)]
    keys = due(small, *definitions)
    small = replace(small, connections=missing_all)
    pipeline.render(small, keys[0], with_others=True)
    others = alone(settings_for(small.settings.ledger_url, "alone"), well, definitions[-1])
    assert [made(small, keys[0]), made(small, keys[-1])] == others
    assert [made(small, key) for key in keys[1:-1]] == [None] * 4
    leader = f"with run {keys[0][:12]}"
    assert whom(small, keys[1:]) == ["apart", "apart", "", "apart", leader]
    for key, (_, error, message) in zip(keys[1:-1], wrong.values(), strict=True):
        with pytest.raises(error, match=message):
            pipeline.render(small, key, with_others=True)
    assert context_chain(small, definitions) == [1, 0, 0, 0, 0, 1]


def context_chain(context: Context, definitions: list[ExportDefinition]) -> list[int]:
    return [len(context.state.chain.list(each.id)) for each in definitions]


def missing_all(name: str) -> Connection:
    raise missing(name)


def test_the_first_one_fails_and_the_others_are_made(context: Context, define: Define) -> None:
    empty = define(
        id="empty", filters=[{"field": "active", "more_than": 10**9}], conditions={"when_empty": "fail"}
    )
    bad, good = due(context, empty, define(id="good"))
    with pytest.raises(Permanent, match="no file of this run has a row"):
        pipeline.render(context, bad, with_others=True)
    assert made(context, good)


def test_who_is_in_a_pass_waits_for_it_and_nobody_else_does(context: Context, define: Define) -> None:
    first, second = due(context, define(id="first"), define(id="second"))
    waited, met = [], []

    def meanwhile(stage: str, *_: object) -> None:
        if not met and stage == "book":
            met.append(True)
            with pytest.raises(NotYet) as early:
                pipeline.render(context, second, with_others=True)
            waited.append(early.value.until - datetime.now(UTC))
            [late] = due(context, define(id="late"))
            pipeline.render(context, late, with_others=True)
            assert whom(context, [late]) == [""]

    pipeline.render(context, first, meanwhile, with_others=True)
    assert waited[0] <= timedelta(seconds=60)
    assert made(context, second)


def test_a_run_that_is_delivered_while_others_are_written_stays_so(
    at_work: Context, define: Define, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline.context, "RECORDED_SECONDS", 0)
    keys = due(at_work, define(id="one"), define(id="two", model="lots"), define(id="three", **MARCH))
    settled: list[str] = []

    def meanwhile(*_: object) -> None:
        for key in keys[1:]:
            if made(at_work, key) and key not in settled:
                settled.append(key)
                pipeline.deliver(at_work, key, 0)
                pipeline.settle(at_work, key)

    pipeline.render(at_work, keys[0], meanwhile, with_others=True)
    assert settled
    for key in settled:
        assert at_work.state.runs.get(key).status is RunStatus.DONE
        assert [each.run_key for each in at_work.state.runs.list(status=RunStatus.DONE)].count(key) == 1


def test_runs_that_wait_for_the_snapshot_are_taken_along(context: Context, define: Define) -> None:
    """And so are not those that need what it does not hold."""
    wanted = [define(id="a"), define(id="b"), define(id="rewards", model="rewards")]
    keys = [pipeline.pin(context, x, occurrence=AT, known_at=KNOWN).run_key for x in wanted]
    first = pipeline.snapshot(context, keys[0])
    pipeline.render(context, keys[0], with_others=True)
    assert [bool(made(context, key)) for key in keys] == [True, True, False]
    assert pipeline.snapshot(context, keys[1]) == first
    assert context.state.runs.get(keys[2]).snapshot_id is None


def test_a_run_that_is_compared_with_the_one_before_it_waits_for_that(
    context: Context, define: Define
) -> None:
    definition = define(compare={"key": ["holder_id"]})
    days = [due(context, definition, at=AT + timedelta(days=day))[0] for day in (0, 1)]
    [other] = due(context, define(id="other"))
    pipeline.render(context, other, with_others=True)
    assert [bool(made(context, key)) for key in days] == [True, False]


KILLS = [
    (1, render_stage, "render_jobs"),  # before the pass
    (1, render_stage, "disagreements"),  # after it
    (2, render_stage, "signed"),  # two manifests are in the chain, one run's files are in its record
]


@pytest.mark.parametrize(("number", "module", "name"), KILLS)
def test_a_pass_that_is_killed_is_made_up_for_and_everything_is_delivered_once(
    at_work: Context, define: Define, ledger_url: str, settings_for: Callable[..., Settings], tmp_path: Path,
    number: int, module: Any, name: str,
) -> None:  # fmt: skip
    definitions = [define(id="balances"), define(id="history", **MARCH), define(id="lots", model="lots")]
    keys = due(at_work, *definitions)
    assert killed_at(at_work, keys[0], number, module, name) == -signal.SIGKILL
    [waiting, *_] = [key for key in keys if made(at_work, key) is None]
    with pytest.raises(NotYet, match="are being made"):
        pipeline.render(at_work, waiting, with_others=True)
    expire(at_work.state, LEASES)
    for key in keys:
        pipeline.render(at_work, key, with_others=True)
        pipeline.deliver(at_work, key, 0)
        assert pipeline.settle(at_work, key)["status"] == "done"
    assert [made(at_work, key) for key in keys] == alone(settings_for(ledger_url, "alone"), *definitions)
    assert [each.attempts for each in at_work.state.deliveries.list()] == [1, 1, 1]
    assert context_chain(at_work, definitions) == [1, 1, 1]
    assert len(list((tmp_path / "delivered").iterdir())) == 6


def killed_at(context: Context, key: str, number: int, module: Any, name: str) -> int:
    """Render in a process that is killed when `name` is called for the n-th time; return how it ended."""

    def render() -> None:
        kill_at(module, name, number)
        pipeline.render(context, key, with_others=True)

    return ended(forked(render))


@pytest.mark.parametrize(
    ("error", "others"), [(MemoryError(), "apart"), (NotYet("no room yet", KNOWN), "with run")]
)
def test_a_pass_that_breaks_leaves_each_run_to_itself(
    context: Context, define: Define, monkeypatch: pytest.MonkeyPatch, error: Exception, others: str
) -> None:
    """The first is made alone at once. Where memory ran out, nobody takes the others along again."""
    keys = due(context, define(id="a"), define(id="b", model="lots"), define(id="c", **MARCH))
    genuine = render_stage.render_jobs

    def breaks(jobs: Any, *arguments: Any, **options: Any) -> Any:
        if len(jobs) > 1:
            raise error
        return genuine(jobs, *arguments, **options)

    monkeypatch.setattr(render_stage, "render_jobs", breaks)
    pipeline.render(context, keys[0], with_others=True)
    assert [told[: len(others)] for told in whom(context, keys[1:])] == [others] * 2
    for key in keys:
        assert pipeline.render(context, key, with_others=True)


def test_a_report_that_fails_in_the_middle_is_left_out_of_the_next_pass(
    context: Context, define: Define, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = due(context, define(id="balances"), define(id="lots", model="lots"), define(id="history", **MARCH))

    def fails(*_: Any) -> Any:
        raise LedgerViolation("account 7")

    monkeypatch.setattr(lots._Lots, "on_partition", fails)
    pipeline.render(context, keys[0], with_others=True)
    assert [bool(made(context, key)) for key in keys] == [True, False, True]
    assert whom(context, keys[1:]) == ["apart", f"with run {keys[0][:12]}"]
    with pytest.raises(LedgerViolation, match="account 7"):
        pipeline.render(context, keys[1], with_others=True)


def test_whose_error_it_is_is_known_in_another_process() -> None:
    """Partitions may be reported there."""
    error = pickle.loads(pickle.dumps(ReportFailed(3, BadInput([Problem("here", "1", "2", "code")]))))
    assert (error.number, str(error.error)) == (3, "here: '1': 2")


def test_who_is_erased_before_the_pass_is_in_no_file_of_it(small: Context, define: Define) -> None:
    people = {"model": "customers", "fields": ["customer_id", "name"], **CLEAR}
    keys = due(small, define(id="one", **people), define(id="two", **people))
    done = erase.erase(small, customer=WHO)
    pipeline.render(small, keys[0], with_others=True)
    for key in keys:
        assert done.pseudonym in str(rows(small, key))
    assert kept_of(small, WHO) == []
    assert whom(small, keys)[1] == f"with run {keys[0][:12]}"


def test_who_is_erased_during_the_pass_is_in_no_file_of_it(
    small: Context, define: Define, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = {"model": "customers", "fields": ["customer_id", "name"], **CLEAR}
    keys = due(small, define(id="one", **people), define(id="two", **people))
    genuine, once = render_stage.render_jobs, []

    def late(*arguments: Any, **options: Any) -> Any:
        genuine(*arguments, **options)
        if not once:
            once.append(True)
            for each in small.state.snapshots.sources():  # as an erasure that has waited long enough does
                for snapshot in small.state.snapshots.usable(each):
                    small.state.snapshots.stale(snapshot.snapshot_id)
            erase.ask(small, customer=WHO)

    monkeypatch.setattr(render_stage, "render_jobs", late)
    for key in keys:
        pipeline.render(small, key, with_others=True)
        assert WHO not in str(rows(small, key))
    erase.resume(small)
    assert kept_of(small, WHO) == []


def test_a_pass_has_so_much_room(define: Define) -> None:
    """By what is asked: who asks the same takes none, and so does who wants other rows or columns of it."""

    def taken(*keys: dict[str, Any], count: int = 200) -> int:
        definitions = [define(**keys[number % len(keys)]) for number in range(count)]
        runs = [run_of(each, number) for number, each in enumerate(definitions)]
        room = together.Room(runs[0], definitions[0])
        pairs = zip(runs[1:], definitions[1:], strict=True)
        return sum(room.has(run, each) and not room.keep(run, each) for run, each in pairs)

    assert taken({}) == taken({}, {"fields": ["holder_id"], "order": ["holder_id"]}) == 99
    unlike = [{"model": "projection", "options": {"days": days}} for days in range(1, 32)]
    assert 8 <= taken(*unlike, count=31) < 20
    parts = [
        {
            "id": f"p{days}",
            "model": "projection",
            "options": {"days": days},
            "file": {"name": f"{days}-{{date}}"},
        }
        for days in range(1, 20)
    ]
    assert (
        taken({}, {"model": None, "file": {}, "exports": parts}) == 99
    )  # each second one: the pack is too large


def run_of(definition: ExportDefinition, number: int) -> RunRecord:
    return RunRecord(
        run_key=f"{number}", definition_id=f"{number}", definition_version="v", definition=definition.document(),
        as_of=AT, known_at=KNOWN, status=RunStatus.PINNED,
    )  # fmt: skip
