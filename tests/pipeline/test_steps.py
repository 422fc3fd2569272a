"""A run through its steps: pinned once, one snapshot for all, made once, delivered once, settled by the record."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from include import pipeline, sample
from include.definitions.model import ExportDefinition
from include.errors import BadInput, NeedsPerson, NotYet, Permanent
from include.formats.verify import verify
from include.pipeline import Context
from include.pipeline.removal import remove_files
from include.settings import Settings
from include.state.runs import RunStatus
from tests.pipeline.conftest import PLAN

AT = datetime(2026, 3, 2, 5, tzinfo=UTC)  # 06:00 in Paris


def whole(context: Context, definition: ExportDefinition, **asked: object) -> tuple[str, dict[str, object]]:
    """All steps; returns the run's key and its summary."""
    key = pipeline.pin(context, definition, **asked).run_key  # type: ignore[arg-type]
    pipeline.snapshot(context, key)
    pipeline.render(context, key)
    for index in range(len(definition.targets)):
        pipeline.deliver(context, key, index)
    return key, pipeline.settle(context, key)


@pytest.mark.servers
def test_every_database_gives_the_same_file(
    any_ledger: str, ledger_url: str, settings_for: Callable[..., Settings], define: Callable[..., ExportDefinition],
    tmp_path: Path, inline: None,
) -> None:  # fmt: skip
    sample.load(any_ledger, PLAN)
    definition = define(model="history", id="history", period="previous_month")
    files = []
    for home, url in (("sqlite", ledger_url), ("other", any_ledger)):
        context = Context(settings_for(url, home))
        key = pipeline.pin(context, definition, occurrence=AT).run_key
        pipeline.snapshot(context, key)
        files.append(context.store.read(pipeline.render(context, key)[0]["key"]))
    assert files[0] == files[1]
    assert len(gzip.decompress(files[0]).splitlines()) > 100


@pytest.mark.slow
def test_a_run_is_delivered_with_a_manifest_that_verifies(
    context: Context, define: Callable[..., ExportDefinition], tmp_path: Path
) -> None:
    _, summary = whole(context, define(), occurrence=AT)
    assert summary["status"] == "done"
    delivered = sorted(path.name for path in (tmp_path / "delivered").iterdir())
    assert delivered == ["balances_2026-03-02T0600.csv.gz", "balances_2026-03-02T0600.csv.gz.manifest.json"]
    assert verify(tmp_path / "delivered" / delivered[1]) == []


@pytest.mark.slow
def test_asking_again_finds_the_first_run(
    context: Context, define: Callable[..., ExportDefinition], inline: None
) -> None:
    definition = define()
    key, summary = whole(context, definition, occurrence=AT)
    again, summary_again = whole(context, definition, occurrence=AT)
    assert (again, summary_again) == (key, summary)
    assert len(context.state.runs.list()) == 1
    assert context.state.deliveries.list()[0].attempts == 1


@pytest.mark.slow
def test_runs_that_start_together_share_one_snapshot(
    context: Context, define: Callable[..., ExportDefinition], inline: None
) -> None:
    keys = [pipeline.pin(context, define(id=name), occurrence=AT).run_key for name in ("one", "two", "three")]
    assert len({pipeline.snapshot(context, key) for key in keys}) == 1
    assert (
        len([entry for entry in context.store.list("snapshots") if entry.key.endswith("manifest.json")]) == 1
    )


def test_a_run_waits_until_its_rows_have_settled(
    ledger_url: str, settings_for: Callable[..., Settings], define: Callable[..., ExportDefinition]
) -> None:
    context = Context(settings_for(ledger_url, settle_delay=timedelta(hours=1)))
    now = datetime.now(UTC)
    with pytest.raises(NotYet) as early:
        pipeline.pin(context, define(), occurrence=now)
    assert early.value.until == now + timedelta(hours=1)


def test_a_month_that_has_not_closed_is_waited_for(
    context: Context, define: Callable[..., ExportDefinition]
) -> None:
    now = datetime.now(UTC)
    definition = define(model="liability", id="liability", period="this_month", timezone="UTC")
    with pytest.raises(NotYet) as early:
        pipeline.pin(context, definition, occurrence=now)
    first = (now.replace(day=1, hour=0, minute=0, second=0, microsecond=0) + timedelta(days=32)).replace(
        day=1
    )
    assert early.value.until == first


def test_wrong_instants_are_refused_all_at_once(
    context: Context, define: Callable[..., ExportDefinition]
) -> None:
    naive = datetime(2026, 1, 1)  # noqa: DTZ001 - that is the mistake
    with pytest.raises(BadInput) as refused:
        pipeline.pin(context, define(), as_of=naive, start=naive)
    assert [(problem.where, problem.code) for problem in refused.value.problems] == [
        ("as_of", "instant_without_zone"), ("start", "instant_without_zone"), ("start", "end_missing"),
    ]  # fmt: skip
    with pytest.raises(BadInput, match="must not be after now"):
        pipeline.pin(context, define(), as_of=datetime(2100, 1, 1, tzinfo=UTC))
    with pytest.raises(BadInput, match="about one instant"):
        pipeline.pin(context, define(), end=AT)
    with pytest.raises(BadInput, match="must start before it ends"):
        pipeline.pin(context, define(model="history", period="previous_month"), start=AT, end=AT)


def test_kinds_and_options_are_checked_all_at_once(
    context: Context, define: Callable[..., ExportDefinition]
) -> None:
    wrong = define(
        model="history", options={"profil": "all"}, file={"format": "csv", "options": {"delimiter": "ab"}},
        fields=["no_such_column"], targets=[{"kind": "pigeon"}],
    )  # fmt: skip
    with pytest.raises(BadInput) as refused:
        pipeline.pin(context, wrong, occurrence=AT)
    where = [problem.where.removeprefix("balances: ") for problem in refused.value.problems]
    assert where == ["options.profil", "file.options.delimiter", "targets[0].kind"]
    assert "folder" in str(refused.value)


@pytest.mark.slow
def test_one_failing_target_does_not_stop_the_other_and_fails_the_run(
    context: Context, define: Callable[..., ExportDefinition], tmp_path: Path, inline: None
) -> None:
    (tmp_path / "blocked").write_text("a file where a folder should be")
    targets = [
        {"kind": "folder", "name": "broken", "options": {"folder": str(tmp_path / "blocked")}},
        {"kind": "folder", "name": "good", "options": {"folder": str(tmp_path / "good")}},
    ]
    key = pipeline.pin(context, define(targets=targets), occurrence=AT).run_key
    pipeline.snapshot(context, key)
    pipeline.render(context, key)
    with pytest.raises(Permanent):
        pipeline.deliver(context, key, 0)
    pipeline.deliver(context, key, 1)
    with pytest.raises(Permanent, match="broken: failed"):
        pipeline.settle(context, key)
    assert context.state.runs.get(key).status is RunStatus.FAILED
    assert len(list((tmp_path / "good").iterdir())) == 2
    # The folder is put right; only the failed target is tried again.
    (tmp_path / "blocked").unlink()
    assert [pipeline.deliver(context, key, index)["files"][0]["outcome"] for index in (0, 1)] == [
        "created",
        "created",
    ]
    assert pipeline.settle(context, key)["status"] == "done"
    attempts = {each.target: each.attempts for each in context.state.deliveries.list(run_key=key)}
    assert attempts == {"broken": 2, "good": 1}


@pytest.mark.slow
def test_a_name_that_holds_something_else_waits_for_a_person(
    context: Context, define: Callable[..., ExportDefinition], tmp_path: Path, inline: None
) -> None:
    (tmp_path / "delivered").mkdir()
    there = tmp_path / "delivered" / "balances_2026-03-02T0600.csv.gz"
    there.write_text("somebody else's")
    key = pipeline.pin(context, define(), occurrence=AT).run_key
    pipeline.snapshot(context, key)
    pipeline.render(context, key)
    for _ in range(2):
        with pytest.raises(NeedsPerson, match="exists with other content"):
            pipeline.deliver(context, key, 0)
    with pytest.raises(NeedsPerson):
        pipeline.settle(context, key)
    assert there.read_text() == "somebody else's"
    there.unlink()
    (delivery,) = context.state.deliveries.list(run_key=key)
    context.state.deliveries.reopen(delivery.key, by="a person")
    pipeline.deliver(context, key, 0)
    assert pipeline.settle(context, key)["status"] == "done"


@pytest.mark.slow
def test_a_dry_run_makes_files_and_delivers_nothing(
    context: Context, define: Callable[..., ExportDefinition], tmp_path: Path, inline: None
) -> None:
    key = pipeline.pin(context, define(), occurrence=AT, dry_run=True).run_key
    pipeline.snapshot(context, key)
    (data, _) = pipeline.render(context, key)
    assert data["rows"] > 100
    with pytest.raises(BadInput, match="not a dry run"):
        pipeline.deliver(context, key, 0)
    assert pipeline.settle(context, key)["status"] == "done"
    assert not (tmp_path / "delivered").exists()
    assert context.state.chain.list("balances") == []


@pytest.mark.slow
def test_fields_choose_order_and_rename(
    context: Context, define: Callable[..., ExportDefinition], inline: None
) -> None:
    fields = [{"field": "active", "header": "Points"}, "customer_id"]
    key = pipeline.pin(context, define(fields=fields), occurrence=AT).run_key
    pipeline.snapshot(context, key)
    (data, _) = pipeline.render(context, key)
    lines = gzip.decompress(context.store.read(data["key"])).decode().splitlines()
    assert lines[0] == "Points,customer_id"
    assert len(lines) == data["rows"] + 1


@pytest.mark.slow
def test_since_the_last_delivery_continues_where_the_last_one_ended(
    context: Context, define: Callable[..., ExportDefinition], inline: None
) -> None:
    definition = define(id="log", model="history", period="since_last_delivery")
    whole(context, definition, occurrence=AT)
    later = AT + timedelta(days=3)  # two occurrences were missed
    assert pipeline.pin(context, definition, occurrence=later).start == AT
    backfilled = define(id="other", model="history", period="since_last_delivery")
    assert pipeline.pin(context, backfilled, occurrence=later, backfill=True).start == later - timedelta(
        days=1
    )


@pytest.mark.slow
def test_a_run_of_the_sample_ledger_is_none_of_another_one(
    context: Context, define: Callable[..., ExportDefinition], inline: None
) -> None:
    sampled = replace(context, settings=replace(context.settings, sample_url=context.settings.ledger_url))
    key = pipeline.pin(sampled, define(), occurrence=AT).run_key
    own = replace(sampled, settings=replace(sampled.settings, ledger_url="sqlite:///own.sqlite"))
    assert pipeline.pin(own, define(), occurrence=AT).run_key == key  # nothing was read yet
    pipeline.snapshot(sampled, key)
    assert pipeline.pin(sampled, define(), occurrence=AT).run_key == key
    with pytest.raises(
        BadInput, match=r"ledger: 'sqlite:.*own.sqlite': this run was made from the sample ledger"
    ):
        pipeline.pin(own, define(), occurrence=AT)


def test_an_as_of_before_the_period_says_when_that_begins(
    context: Context, define: Callable[..., ExportDefinition]
) -> None:
    definition = define(id="log", model="history", period="previous_month")
    with pytest.raises(
        BadInput, match=r"as_of: '2020-01-01T00:00:00.*': the period begins .*: for another one give"
    ):
        pipeline.pin(context, definition, as_of=datetime(2020, 1, 1, tzinfo=UTC))


@pytest.mark.slow
def test_until_something_was_delivered_the_period_begins_where_the_first_that_failed_did(
    context: Context, define: Callable[..., ExportDefinition], tmp_path: Path, inline: None
) -> None:
    # the folder is missing on two days, and made on the third: the file of the third day holds all three
    day, folder = timedelta(days=1), tmp_path / "later"
    target = {"kind": "folder", "options": {"folder": str(folder), "create_folder": False}}
    definition = define(id="log", model="history", period="since_last_delivery", targets=[target])
    keys = []
    for at in (AT, AT + day):
        keys.append(pipeline.pin(context, definition, occurrence=at).run_key)
        pipeline.snapshot(context, keys[-1])
        pipeline.render(context, keys[-1])
        with pytest.raises((BadInput, Permanent)):
            pipeline.deliver(context, keys[-1], 0)
    folder.mkdir()
    last, summary = whole(context, definition, occurrence=AT + 2 * day)
    run = context.state.runs.get(last)
    assert (summary["status"], run.start, run.end) == ("done", AT - day, AT + 2 * day)
    with pytest.raises(NeedsPerson, match="covers this period too: its rows would arrive twice"):
        pipeline.deliver(context, keys[0], 0)
    assert len([each for each in folder.iterdir() if "manifest" not in each.name]) == 1


@pytest.mark.slow
def test_rows_recorded_after_k_are_unknown(
    context: Context, define: Callable[..., ExportDefinition], inline: None
) -> None:
    known_early = datetime(2026, 3, 2, tzinfo=UTC)
    counts = []
    for known_at in (known_early, None):
        definition = define(id=f"k{len(counts)}", model="history", period="previous_month")
        key = pipeline.pin(context, definition, occurrence=AT, known_at=known_at).run_key
        pipeline.snapshot(context, key)
        counts.append(pipeline.render(context, key)[0]["rows"])
    assert counts[0] <= counts[1]


@pytest.mark.slow
def test_a_crash_after_the_chain_finds_its_own_files_again(
    context: Context, define: Callable[..., ExportDefinition], inline: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = pipeline.pin(context, define(), occurrence=AT).run_key
    pipeline.snapshot(context, key)
    with monkeypatch.context() as patch:
        patch.setattr(type(context.state.runs), "pin_artefacts", lambda *_: (_ for _ in ()).throw(SystemExit))
        with pytest.raises(SystemExit):
            pipeline.render(context, key)
    link = context.state.chain.of(key)
    # Meanwhile the code was upgraded: it would write another manifest.
    monkeypatch.setattr("include.pipeline.render_stage.code_version", lambda: "another")
    (_, manifest) = pipeline.render(context, key)
    assert link is not None
    assert manifest["sha256"] == link.manifest_sha256
    assert len(context.state.chain.list("balances")) == 1


@pytest.mark.slow
def test_a_snapshot_that_was_damaged_is_taken_anew(
    context: Context, define: Callable[..., ExportDefinition], inline: None
) -> None:
    key = pipeline.pin(context, define(), occurrence=AT).run_key
    first = pipeline.snapshot(context, key)
    for entry in context.store.list("snapshots"):
        if entry.key.endswith(".parquet") and "transactions" in entry.key:
            path = context.store.path(entry.key)
            assert path is not None
            path.chmod(0o644)
            path.write_bytes(b"PAR1")
    assert pipeline.render(context, key)[0]["rows"] > 100
    assert context.state.runs.get(key).snapshot_id != first


@pytest.mark.slow
def test_a_run_by_hand_of_what_was_delivered_finds_it(
    context: Context, define: Callable[..., ExportDefinition], tmp_path: Path, inline: None
) -> None:
    """Triggering a daily export again at noon asks for the same state, and K may have moved on: nothing is sent twice."""
    definition = define(as_of="end_of_previous_day")
    key, _ = whole(context, definition, occurrence=AT)
    again, summary = whole(context, definition, occurrence=AT + timedelta(hours=6))
    assert again == key
    assert summary["status"] == "done"
    assert len(list((tmp_path / "delivered").iterdir())) == 2
    other = pipeline.pin(context, definition, occurrence=AT, known_at=datetime(2026, 5, 1, tzinfo=UTC))
    assert other.run_key != key


@pytest.mark.slow
@pytest.mark.parametrize("why", ["erasure", "retention"])
def test_a_run_that_was_delivered_is_done_also_when_its_files_are_gone(
    context: Context, define: Callable[..., ExportDefinition], tmp_path: Path, inline: None, why: str
) -> None:
    # made by hand at noon; its files are erased; the schedule asks for the same in the evening
    definition = define(as_of="end_of_previous_day")
    key, _ = whole(context, definition, occurrence=AT)
    delivered = sorted((tmp_path / "delivered").iterdir())
    remove_files(context, key, why)
    again, summary = whole(context, definition, occurrence=AT + timedelta(hours=6))
    assert (again, summary["status"]) == (key, "done")
    assert context.state.runs.get(key).status is RunStatus.DONE
    assert sorted((tmp_path / "delivered").iterdir()) == delivered


@pytest.mark.slow
def test_an_occurrence_since_the_last_delivery_keeps_its_period(
    context: Context, define: Callable[..., ExportDefinition], inline: None
) -> None:
    definition = define(id="log", model="history", period="since_last_delivery")
    first, _ = whole(context, definition, occurrence=AT)
    whole(context, definition, occurrence=AT + timedelta(days=1))
    assert pipeline.pin(context, definition, occurrence=AT).run_key == first


@pytest.mark.slow
def test_a_running_stage_is_written_down(
    context: Context, define: Callable[..., ExportDefinition], inline: None
) -> None:
    key = pipeline.pin(context, define(), occurrence=AT).run_key
    seen: list[tuple[str, str]] = []

    def look(stage: str, _done: int, _total: int | None) -> None:
        run = context.state.runs.get(key)
        seen.append((run.status.value, run.stage))

    pipeline.snapshot(context, key, look)
    pipeline.render(context, key, look)
    assert ("running", "snapshot transactions") in seen or ("running", "snapshot cards") in seen
    assert context.state.runs.get(key).stage in {"partition", "book"}
