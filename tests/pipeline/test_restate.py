"""A delivered period looked at again: what late rows changed is delivered beside it, and nothing else happens."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from include import pipeline
from include.definitions.model import ExportDefinition
from include.errors import BadInput, Permanent
from include.formats.manifest import Manifest, read_manifest
from include.formats.verify import verify
from include.pipeline import Context, changes, digest, restate
from include.pipeline.removal import remove_files
from include.pipeline.restate import delivered, look_again, restatement
from include.settings import Settings
from include.snapshots import canonical
from include.state.runs import RunRecord, RunStatus

Define = Callable[..., ExportDefinition]
AT = datetime(2026, 4, 1, 4, tzinfo=UTC)
MARCH: dict[str, Any] = {
    "model": "history",
    "period": "previous_month",
    "schedule": {"kind": "monthly", "days": [1], "time": "06:00"},
}
pytestmark = [pytest.mark.usefixtures("inline"), pytest.mark.slow]


@pytest.fixture
def context(ledger_url: str, settings_for: Callable[..., Settings], tmp_path: Path) -> Context:
    """A ledger in which one row of March, worth 12.50 points, was recorded in October."""
    path = tmp_path / "ledger.sqlite"
    shutil.copy(ledger_url.removeprefix("sqlite:///"), path)
    table = canonical.METADATA.tables["transactions"]
    march = datetime(2026, 3, 15, tzinfo=UTC)
    with sa.create_engine(f"sqlite:///{path}").begin() as connection:
        kept = table.c.type == "earned", table.c.created_at < march
        row = dict(connection.execute(sa.select(table).where(*kept).limit(1)).mappings().one())
        october = datetime(2026, 10, 1, tzinfo=UTC)
        late = {
            "transaction_id": "late",
            "points": Decimal("12.50"),
            "created_at": march,
            "recorded_at": october,
        }
        connection.execute(table.insert(), row | late | {"activates_at": None, "expires_at": None})
    return Context(settings_for(f"sqlite:///{path}"))


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let a quarter of an hour pass: the newest K that a run can have is another one."""
    known = datetime(2026, 11, 1, tzinfo=UTC)

    def pass_by() -> None:
        nonlocal known
        known += timedelta(minutes=15)
        monkeypatch.setattr(restate, "latest_known", lambda *_: known)

    pass_by()
    return pass_by


def two(folder: Path) -> dict[str, Any]:
    """March for two targets."""
    folders = {name: {"folder": str(folder / name)} for name in ("first", "second")}
    return {**MARCH, "targets": [{"kind": "folder", "name": n, "options": o} for n, o in folders.items()]}


def run_then(context: Context, definition: ExportDefinition, occurrence: datetime) -> str:
    """Run it as it would have been run at the occurrence, not knowing what was recorded later."""
    key = pipeline.pin(context, definition, occurrence=occurrence, known_at=occurrence).run_key
    return finish(context, key)


def finish(context: Context, key: str) -> str:
    pipeline.snapshot(context, key)
    pipeline.render(context, key)
    for index in range(len(ExportDefinition.model_validate(context.state.runs.get(key).definition).targets)):
        pipeline.deliver(context, key, index)
    pipeline.settle(context, key)
    return key


def manifest(folder: Path, name: str) -> Manifest:
    path = folder / "delivered" / f"{name}.manifest.json"
    assert verify(path) == []
    return read_manifest(path)


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(gzip.decompress(path.read_bytes()).decode().splitlines()))


def points(some: list[dict[str, str]]) -> Decimal:
    return sum((Decimal(row["points_change"]) for row in some), Decimal(0))


def test_late_rows_make_a_restatement_with_the_difference(
    context: Context, define: Define, tmp_path: Path
) -> None:
    first = run_then(context, define(**MARCH), AT)
    there = tmp_path / "delivered" / "balances_2026-03.csv.gz"
    before = there.read_bytes()

    again = look_again(context, first)
    assert (again.revision, again.as_of, again.skipped) == (1, context.state.runs.get(first).as_of, None)
    finish(context, again.run_key)

    assert there.read_bytes() == before  # never a silent rewrite
    told = manifest(tmp_path, "balances_2026-03_r1")
    assert told.origin.revision == 1
    old, new = rows(there), rows(tmp_path / "delivered" / "balances_2026-03_r1.csv.gz")
    added = rows(tmp_path / "delivered" / "balances_2026-03_r1_changes.csv.gz")
    late = {row["transaction_id"] for row in new} - {row["transaction_id"] for row in old}
    assert late == {"late"} == {row["transaction_id"] for row in added if row["change"] == "added"}
    # delivered + difference = restated, to the hundredth
    sign = {"added": 1, "after": 1, "removed": -1, "before": -1}
    moved = sum((sign[row["change"]] * Decimal(row["points_change"]) for row in added), Decimal(0))
    assert points(old) + moved == points(new) == points(old) + Decimal("12.50")
    assert told.alerts[0] == "restates balances_2026-03.csv.gz, revision 0 of the period"
    was, became = (f"{points(some):,.2f}" for some in (old, new))
    assert f"points_change: {was} became {became}" in told.alerts


def test_looking_again_at_what_did_not_change_sends_nothing(
    context: Context, define: Define, tmp_path: Path
) -> None:
    first = finish(context, pipeline.pin(context, define(**MARCH), occurrence=AT).run_key)
    there = sorted(path.name for path in (tmp_path / "delivered").iterdir())
    again = look_again(context, first)
    assert again.skipped == "nothing changed since balances_2026-03.csv.gz was delivered"
    assert again.status is RunStatus.DONE
    assert sorted(path.name for path in (tmp_path / "delivered").iterdir()) == there
    assert look_again(context, first).run_key == again.run_key  # within the quarter hour


def test_the_newest_revision_of_the_last_periods_is_looked_at(context: Context, define: Define) -> None:
    definition = define(**MARCH)
    march = run_then(context, definition, AT)
    april = run_then(context, definition, datetime(2026, 5, 1, 4, tzinfo=UTC))
    by_hand = pipeline.pin(context, definition, start=AT - timedelta(days=9), end=AT).run_key
    finish(context, by_hand)

    def keys(last: int) -> list[str]:
        return [run.run_key for run in delivered(context, definition, last)]

    assert keys(2) == [april, march]
    restated = finish(context, look_again(context, march).run_key)
    assert keys(9) == [april, restated]
    assert keys(1) == [april]
    assert restatement(context, restated).revision == 2


def test_without_ids_totals_are_told(context: Context, define: Define, tmp_path: Path) -> None:
    definition = define(**MARCH, fields=["created_at", "points_change"])
    finish(context, look_again(context, run_then(context, definition, AT)).run_key)
    told = manifest(tmp_path, "balances_2026-03_r1.csv.gz")
    assert [file.changes for file in told.files] == [None]
    assert any(sentence.startswith("points_change: ") for sentence in told.alerts)


def test_only_what_was_delivered_can_be_restated(context: Context, define: Define) -> None:
    def refused(run: RunRecord) -> None:
        with pytest.raises(BadInput, match="a run whose files were delivered"):
            restatement(context, run.run_key)

    refused(pipeline.pin(context, define(**MARCH), occurrence=AT))
    dry = pipeline.pin(context, define(**MARCH), occurrence=AT, dry_run=True)
    refused(dry)


LATE_ALONE = {
    "filters": [{"field": "transaction_id", "is": "late"}],
    "conditions": {"when_empty": "skip"},
}


def test_a_period_that_was_empty_is_delivered_when_late_rows_come(
    context: Context, define: Define, tmp_path: Path, later: Callable[[], None]
) -> None:
    definition = define(**two(tmp_path), **LATE_ALONE)
    first = run_then(context, definition, AT)
    assert context.state.runs.get(first).skipped == "no file of this run has a row"
    assert [run.run_key for run in delivered(context, definition, 9)] == [first]
    again = look_again(context, first)
    assert (again.revision, again.skipped, restate.reached(context, again)) == (1, None, [0, 1])
    assert "nothing was delivered of this period before" in again.files[0]["notes"] + again.files[0]["told"]
    finish(context, again.run_key)
    for folder in ("first", "second"):
        assert [row["points_change"] for row in rows(tmp_path / folder / "balances_2026-03_r1.csv.gz")] == [
            "12.50"
        ]
    later()
    assert (
        look_again(context, first).skipped == "nothing changed since balances_2026-03_r1.csv.gz was delivered"
    )


def test_a_period_that_is_still_empty_stays_skipped(
    context: Context, define: Define, tmp_path: Path, later: Callable[[], None]
) -> None:
    nobody = {**LATE_ALONE, "filters": [{"field": "transaction_id", "is": "nobody's"}]}
    first = run_then(context, define(**MARCH, **nobody), AT)
    for _ in range(2):
        assert look_again(context, first).skipped == "no file of this run has a row"
        later()
    assert not (tmp_path / "delivered").exists()


def test_a_period_that_repeated_the_last_file_is_compared_with_that(
    context: Context, define: Define, tmp_path: Path, later: Callable[[], None]
) -> None:
    """What nothing was sent for because it was the same: not the first of its period, but what it repeated counts."""
    always = {"model": "balance", "schedule": MARCH["schedule"], "fields": ["program_id"]}
    definition = define(
        **always, conditions={"only_when_changed": True}, filters=[{"field": "program_id", "is": "x"}]
    )
    february = run_then(context, definition, AT.replace(month=3))
    march = run_then(context, definition, AT)
    assert context.state.runs.get(march).skipped
    again = look_again(context, march)
    assert (
        again.skipped
        == f"nothing changed since {context.state.runs.get(february).files[0]['name']} was delivered"
    )


@pytest.mark.parametrize("count", [0, 1, 1000, 1001, 1801, 6000])
def test_each_of_many_periods_has_its_turn(count: int) -> None:
    keys = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(count)]
    first = datetime(2026, 4, 1, tzinfo=UTC).date()
    looked = [restate.todays(keys, first + timedelta(days=day)) for day in range(-(-count // 800))]
    assert all(len(each) <= restate.MOST_LOOKS for each in looked)
    assert sorted(key for each in looked for key in each) == sorted(keys * (2 if count == 1000 else 1))


def test_a_restatement_that_is_not_over_is_continued(context: Context, define: Define) -> None:
    first = run_then(context, define(**MARCH), AT)
    again = look_again(context, first)
    assert restatement(context, again.run_key).run_key == again.run_key
    assert look_again(context, again.run_key).run_key == again.run_key


def test_a_restatement_that_one_target_has_is_brought_to_the_other_the_next_day(
    context: Context, define: Define, tmp_path: Path, later: Callable[[], None]
) -> None:
    definition = define(**two(tmp_path))
    first = run_then(context, definition, AT)
    again = look_again(context, first)
    pipeline.deliver(context, again.run_key, 0)
    with pytest.raises(Permanent):
        pipeline.settle(context, again.run_key)
    later()
    [newest] = delivered(context, definition, 1)
    # Another K would make other bytes for the names that are taken, and a second mail to who has the first.
    assert look_again(context, newest.run_key).run_key == again.run_key
    finish(context, again.run_key)
    there = [sorted(each.name for each in (tmp_path / name).iterdir()) for name in ("first", "second")]
    assert there[0] == there[1]
    later()
    assert look_again(context, newest.run_key).skipped


def test_an_older_revision_is_looked_at_from_the_newest_on(
    context: Context, define: Define, later: Callable[[], None]
) -> None:
    first = run_then(context, define(**MARCH), AT)
    finish(context, look_again(context, first).run_key)
    later()
    again = look_again(context, first)  # its own restatement is delivered: there is no second revision 1
    assert (again.revision, again.status) == (2, RunStatus.DONE)
    assert again.skipped == "nothing changed since balances_2026-03_r1 was delivered"


def test_a_number_under_which_files_were_made_is_never_used_again(
    context: Context, define: Define, later: Callable[[], None]
) -> None:
    first = run_then(context, define(**MARCH), AT)
    again = look_again(context, first)
    remove_files(context, again.run_key, "retention")
    later()
    assert look_again(context, first).revision == 2


def test_one_that_died_before_its_files_were_made_is_left_behind(
    context: Context, define: Define, later: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run_then(context, define(**MARCH), AT)
    died = restatement(context, first)
    later()
    assert restatement(context, first).run_key == died.run_key  # somebody may be at work on it
    monkeypatch.setattr(restate, "KNOWLEDGE_GRID", timedelta(0))
    fresh = restatement(context, first)
    assert (fresh.revision, fresh.run_key == died.run_key) == (1, False)


def test_looks_that_found_nothing_do_not_hide_what_was_delivered(
    context: Context, define: Define, later: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    definition = define(**MARCH)
    newest = finish(context, look_again(context, run_then(context, definition, AT)).run_key)
    for module in (restate, changes):
        monkeypatch.setattr(module, "_RUNS_LOOKED_AT", 2)
    looks = set()
    for _ in range(3):
        later()
        again = look_again(context, newest)
        assert again.skipped
        looks.add(again.run_key)
    assert len(looks) == 3
    assert [run.run_key for run in delivered(context, definition, 1)] == [newest]
    assert restate.find(context, definition, newest[:20]).run_key == newest
    april = pipeline.pin(context, definition, occurrence=datetime(2026, 5, 1, 4, tzinfo=UTC))
    last = changes.earlier(context, april, looks_back=False)
    assert last is not None
    assert last.run.run_key == newest


def test_a_look_at_what_some_targets_got_does_not_end_a_period(
    context: Context, define: Define, tmp_path: Path, later: Callable[[], None]
) -> None:
    daily = {"period": "since_last_delivery", "schedule": {"kind": "daily", "time": "06:00"}}
    definition = define(**{**two(tmp_path), **daily})
    noon = datetime(2026, 6, 10, 12, tzinfo=UTC)
    by_hand = pipeline.pin(context, definition, occurrence=noon)
    pipeline.snapshot(context, by_hand.run_key)
    pipeline.render(context, by_hand.run_key)
    pipeline.deliver(context, by_hand.run_key, 0)
    pipeline.settle(context, by_hand.run_key, [0])
    later()
    assert look_again(context, by_hand.run_key).skipped
    # The other target has nothing of that day yet: its next period holds it.
    following = pipeline.pin(context, definition, occurrence=datetime(2026, 6, 11, 4, tzinfo=UTC))
    assert following.start == datetime(2026, 6, 10, 4, tzinfo=UTC)


def test_the_rows_of_what_changed_are_in_no_total(context: Context, define: Define, tmp_path: Path) -> None:
    definition = define(**MARCH, bundle="zip")
    key = finish(context, look_again(context, run_then(context, definition, AT)).run_key)
    [archive, _] = context.state.runs.get(key).files
    told = manifest(tmp_path, "balances_2026-03_r1.zip")
    data, difference = told.files
    assert difference.rows
    assert archive["rows"] == data.rows
    assert set(archive["totals"]) == {f"{data.name}: {column}" for column in data.totals}


def test_the_digest_tells_the_totals_of_the_restated_file(context: Context, define: Define) -> None:
    definition = define(**MARCH)
    key = finish(context, look_again(context, run_then(context, definition, AT)).run_key)
    context.settings.exports.mkdir(exist_ok=True)
    (context.settings.exports / "balances.yaml").write_text(json.dumps(definition.document()))
    now = datetime.now(UTC)
    [table] = digest.digest(context, now - timedelta(days=1), now + timedelta(days=1)).tables
    row = dict(zip(table.head, table.rows[0], strict=True))
    data = context.state.runs.get(key).files[0]
    assert row["last file"].startswith(f"{data['rows']:,} rows")
    assert f"points_change {Decimal(data['totals']['points_change']):,}" in row["totals"]


def test_who_got_nothing_of_a_period_gets_no_restatement_of_it(
    context: Context, define: Define, tmp_path: Path
) -> None:
    run = pipeline.pin(context, define(**two(tmp_path)), occurrence=AT, known_at=AT)
    pipeline.snapshot(context, run.run_key)
    pipeline.render(context, run.run_key)
    pipeline.deliver(context, run.run_key, 1)
    pipeline.settle(context, run.run_key, [1])
    assert restate.reached(context, look_again(context, run.run_key)) == [1]
