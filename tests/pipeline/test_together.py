"""Runs of one snapshot are made in one pass, each with the bytes that it has alone (test_together_faults.py: what goes wrong)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from include import pipeline
from include.definitions.model import ExportDefinition
from include.errors import NotYet
from include.pipeline import Context, render_stage, together
from include.reports import balance
from include.settings import Settings
from include.state.audit import Action
from include.state.runs import RunRecord, RunStatus
from include.state.tables import LEASES
from tests.pipeline.passes import KNOWN, MARCH, Define, alone, due, made, several, whom
from tests.pipeline.test_steps import AT

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("inline")]


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


def test_scratch_is_promised_by_what_is_asked_and_not_by_how_many_ask(
    context: Context, define: Define
) -> None:
    alike = [define(id=name, fields=["holder_id", name]) for name in ("active", "pending", "spent")]
    keys = due(context, *alike, define(id="lots", model="lots"))
    one, two, three, other = (context.state.runs.get(key) for key in keys)
    single = replace(context, settings=replace(context.settings, shares=1))  # one file at a time
    passes = [one], [one, two], [one, two, three], [one, other]
    needed = [render_stage._scratch_needed(single, runs) for runs in passes]
    assert needed[0] < needed[1] == needed[2] < needed[3]


def run_of(definition: ExportDefinition, number: int) -> RunRecord:
    return RunRecord(
        run_key=f"{number}", definition_id=f"{number}", definition_version="v", definition=definition.document(),
        as_of=AT, known_at=KNOWN, status=RunStatus.PINNED,
    )  # fmt: skip
