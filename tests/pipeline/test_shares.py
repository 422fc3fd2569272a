"""Shares of a run, made by tasks of their own: the run's files are the same, and a lost share is made again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include import pipeline
from include.definitions.model import ExportDefinition
from include.errors import LedgerViolation
from include.pipeline import Context, run_shares
from include.pipeline.erasure import erase
from include.reports import history
from include.settings import Settings
from tests.pipeline.people import WHO

AT = datetime(2026, 3, 2, 5, tzinfo=UTC)
Made = dict[str, Any]


@pytest.fixture
def run(
    ledger_url: str, settings_for: Callable[..., Settings], define: Callable[..., ExportDefinition], inline: None
) -> Callable[..., tuple[Context, str]]:  # fmt: skip
    """Pins a run of a model, with its snapshot, in a home of its own."""

    def pinned(home: str, model: str = "history", rows: int = 1_000) -> tuple[Context, str]:
        context = Context(replace(settings_for(ledger_url, home), share_rows=rows))
        definition = define(model=model, id=model.replace("_", "-"), period="previous_month")
        key = pipeline.pin(context, definition, occurrence=AT).run_key
        pipeline.snapshot(context, key)
        return context, key

    return pinned


def shares(context: Context, key: str) -> list[Made]:
    return [pipeline.render_share(context, key, **each) for each in pipeline.shares_of(context, key)]


def stored(context: Context) -> list[str]:
    return [each.key for each in context.store.list("shares")]


@pytest.mark.slow
@pytest.mark.parametrize("model", ["history", "points_accounting"])
def test_shares_are_joined_to_the_file_that_one_task_makes(model, run):
    one, key = run("one", model, rows=0)
    assert pipeline.shares_of(one, key) == []
    (expected, _) = pipeline.render(one, key)
    apart, key = run("apart", model)
    made = shares(apart, key)
    assert len(made) > 2
    (found, _) = pipeline.render(apart, key, shares=made[::-1])  # in whatever order they come
    assert (found["sha256"], found["rows"]) == (expected["sha256"], expected["rows"])
    assert len(stored(apart)) == len(made)
    pipeline.deliver(apart, key, 0)
    pipeline.settle(apart, key)
    assert stored(apart) == []
    assert pipeline.shares_of(apart, key) == []  # it is made


@pytest.mark.slow
@pytest.mark.parametrize("what", ["damaged", "gone", "of other code"])
def test_a_share_that_is_not_what_was_made_is_made_again(what, run, caplog):
    one, key = run("one", rows=0)
    (expected, _) = pipeline.render(one, key)
    apart, key = run("apart")
    made = shares(apart, key)
    path = apart.store.path(made[1]["key"])
    assert path is not None
    if what == "damaged":
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.chmod(0o600)
        path.write_bytes(content)
    elif what == "gone":
        apart.store.delete(made[1]["key"])
    else:
        made[1]["code"] = "another version"
    (found, _) = pipeline.render(apart, key, shares=made)
    assert found["sha256"] == expected["sha256"]
    assert f"share 1 of {len(made)} is made again" in caplog.text


@pytest.mark.slow
def test_what_stops_a_run_stops_its_share(run, monkeypatch):
    apart, key = run("apart")

    def broken(*_: Any) -> Any:
        raise LedgerViolation("the balances of the history do not chain for somebody")

    monkeypatch.setattr(history._History, "on_partition", broken)
    with pytest.raises(LedgerViolation, match="do not chain for somebody"):
        shares(apart, key)
    assert stored(apart) == []
    assert list(apart.settings.scratch.iterdir()) == []


@pytest.mark.slow
def test_shares_that_nobody_joins_go_after_a_day(run):
    apart, key = run("apart")
    made = shares(apart, key)
    assert run_shares.clear_dead(apart) == 0
    assert run_shares.clear_dead(apart, older_than=timedelta(0)) == len(made)
    assert stored(apart) == []


@pytest.mark.slow
def test_no_share_outlives_an_erasure(small):
    """A share holds rows of everybody; the run that it is of makes it anew."""
    small.store.put_new("shares/a-run-that-died/0-of-2-hash.zip", b"rows of somebody")
    erase.erase(small, customer=WHO)
    assert stored(small) == []
