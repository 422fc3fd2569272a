"""Where files are replaced, an older run never comes over a newer one's: it waits for a person."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from include import pipeline
from include.definitions.model import ExportDefinition
from include.errors import LoyaltyError, NeedsPerson, NotYet
from include.pipeline import Context, resolving
from include.pipeline.newer import keep_the_newer
from include.state.deliveries import DeliveryState
from include.state.runs import RunRecord, RunStatus
from tests.pipeline.test_steps import AT

pytestmark = pytest.mark.slow
NAME = "points_2026-03-01.csv"


def daily(define: Callable[..., ExportDefinition], folder: Path, **options: object) -> ExportDefinition:
    """The state of each day, under one name for its month."""
    where = {"folder": str(folder), "replace": True, **options}
    return define(
        schedule={"kind": "daily", "time": "06:00"},
        file={"compression": "none", "name": "points_{start}"},
        period="month_to_date",
        model="history",
        targets=[{"kind": "folder", "name": "books", "options": where}],
    )


def rendered(context: Context, definition: ExportDefinition, day: int) -> RunRecord:
    key = pipeline.pin(context, definition, occurrence=AT + timedelta(days=day)).run_key
    pipeline.snapshot(context, key)
    pipeline.render(context, key)
    return context.state.runs.get(key)


@pytest.fixture
def runs(
    context: Context, define: Callable[..., ExportDefinition], tmp_path: Path, inline: None
) -> list[RunRecord]:
    """Of three days in March; nothing is delivered yet."""
    definition = daily(define, tmp_path / "books")
    found = [rendered(context, definition, day) for day in range(3)]
    assert {each.files[0]["name"] for each in found} == {NAME}
    assert len({each.files[0]["sha256"] for each in found}) == 3
    return found


def there(context: Context, runs: list[RunRecord], folder: Path) -> int:
    """Which run's file is there."""
    content = (folder / NAME).read_bytes()
    return [context.store.read(each.files[0]["key"]) for each in runs].index(content)


def test_a_late_retry_of_an_older_run_does_not_replace_a_newer_file(
    context: Context, runs: list[RunRecord], tmp_path: Path
) -> None:
    pipeline.deliver(context, runs[0].run_key, 0)
    pipeline.deliver(context, runs[2].run_key, 0)
    assert there(context, runs, tmp_path / "books") == 2
    with pytest.raises(
        NeedsPerson, match=rf"{NAME} there is of a newer run \(run {runs[2].run_key[:12]} as of"
    ):
        pipeline.deliver(context, runs[1].run_key, 0)
    assert there(context, runs, tmp_path / "books") == 2
    with pytest.raises(NeedsPerson, match="newer run"):  # as Airflow's retry finds it
        pipeline.deliver(context, runs[1].run_key, 0)
    with pytest.raises(NeedsPerson, match="does not replace it"):
        pipeline.settle(context, runs[1].run_key)


def test_a_person_decides_which_one_stands(context: Context, runs: list[RunRecord], tmp_path: Path) -> None:
    pipeline.deliver(context, runs[2].run_key, 0)
    for run in runs[:2]:
        with pytest.raises(NeedsPerson, match="newer run"):
            pipeline.deliver(context, run.run_key, 0)
        with pytest.raises(LoyaltyError):
            pipeline.settle(context, run.run_key)
    stands, goes = (context.state.deliveries.list(run_key=run.run_key)[0] for run in runs[:2])
    resolving.resolve(context, stands, arrived=True)
    assert there(context, runs, tmp_path / "books") == 2
    assert context.state.runs.get(runs[0].run_key).status is RunStatus.DONE
    resolving.resolve(context, goes, arrived=False)
    receipt = resolving.retry(context, context.state.deliveries.get(goes.key))
    assert [each["outcome"] for each in receipt["files"]] == ["replaced", "replaced"]
    assert there(context, runs, tmp_path / "books") == 1


def test_a_newer_one_waits_while_an_older_one_is_on_its_way(
    context: Context, runs: list[RunRecord], tmp_path: Path
) -> None:
    deliveries, older = context.state.deliveries, runs[0].run_key
    claim = deliveries.claim("k" * 64, "worker", timedelta(minutes=2), run_key=older, target="books")
    deliveries.sending(claim)
    with pytest.raises(NotYet, match="older run") as waits:
        pipeline.deliver(context, runs[1].run_key, 0)
    assert waits.value.until > datetime.now(UTC)
    assert not (tmp_path / "books").exists()
    deliveries.failed(claim, "the server is away")
    pipeline.deliver(context, runs[1].run_key, 0)
    assert there(context, runs, tmp_path / "books") == 1


def test_of_two_that_begin_at_one_moment_the_older_gives_way(context: Context, runs: list[RunRecord]) -> None:
    deliveries = context.state.deliveries
    for name, run in zip("ab", runs[:2], strict=True):
        claim = deliveries.claim(name * 64, name, timedelta(minutes=2), run_key=run.run_key, target="books")
        deliveries.sending(claim)
    with pytest.raises(NeedsPerson, match="newer run"):
        keep_the_newer(context, runs[0], "books", "a" * 64)
    with pytest.raises(NotYet, match="older run"):
        keep_the_newer(context, runs[1], "books", "b" * 64)


def test_an_older_run_of_another_name_goes_out(
    context: Context, define: Callable[..., ExportDefinition], runs: list[RunRecord], tmp_path: Path
) -> None:
    february = rendered(context, daily(define, tmp_path / "books"), -3)
    pipeline.deliver(context, runs[2].run_key, 0)
    pipeline.deliver(context, february.run_key, 0)
    assert there(context, runs, tmp_path / "books") == 2
    states = {each.state for each in context.state.deliveries.list()}
    assert states == {DeliveryState.CONFIRMED}
