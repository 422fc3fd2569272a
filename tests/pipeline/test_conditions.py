"""What is sent, compared and said of a run depends on what its definition says and on what was delivered last."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from include import pipeline
from include.definitions.model import ExportDefinition
from include.errors import Permanent
from include.formats.manifest import Manifest, read_manifest
from include.formats.verify import verify
from include.pipeline import Context
from tests.pipeline.test_steps import whole

Define = Callable[..., ExportDefinition]
FIRST, SECOND = datetime(2026, 3, 2, 5, tzinfo=UTC), datetime(2026, 3, 3, 5, tzinfo=UTC)
pytestmark = pytest.mark.usefixtures("inline")


def manifest(folder: Path, name: str) -> Manifest:
    path = folder / "delivered" / f"{name}.manifest.json"
    assert verify(path) == []
    return read_manifest(path)


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(gzip.decompress(path.read_bytes()).decode().splitlines()))


@pytest.mark.slow
def test_a_file_is_compared_with_the_one_delivered_last(
    context: Context, define: Define, tmp_path: Path
) -> None:
    definition = define(
        fields=["holder_id", "subledger_id", "active"],
        compare={"key": ["holder_id", "subledger_id"], "file": True},
    )
    whole(context, definition, occurrence=FIRST)
    assert manifest(tmp_path, "balances_2026-03-02T0600.csv.gz").files[0].changes is None
    whole(context, definition, occurrence=SECOND)
    second = manifest(tmp_path, "balances_2026-03-03T0600")
    told = second.files[0].changes
    assert told is not None
    assert told.against == manifest(tmp_path, "balances_2026-03-02T0600.csv.gz").sha256()
    changes = rows(tmp_path / "delivered" / "balances_2026-03-03T0600_changes.csv.gz")
    kinds = [row["change"] for row in changes]
    assert (kinds.count("added"), kinds.count("removed"), kinds.count("after")) == (
        told.added,
        told.removed,
        told.changed,
    )
    assert kinds.count("before") == kinds.count("after") > 0
    # before + changes = after, key by key
    then, now = (
        {
            (x["holder_id"], x["subledger_id"]): x["active"]
            for x in rows(tmp_path / "delivered" / f"balances_{day}T0600.csv.gz")
        }
        for day in ("2026-03-02", "2026-03-03")
    )
    for row in changes:
        key = row["holder_id"], row["subledger_id"]
        if row["change"] in {"removed", "before"}:
            assert then.pop(key) == row["active"]
        else:
            then[key] = row["active"]
    assert then == now
    # A later one is compared with the rows of the last, not with its file of changes.
    third, fourth = SECOND + timedelta(days=1), SECOND + timedelta(days=2)
    whole(context, definition, occurrence=third)
    told = manifest(tmp_path, "balances_2026-03-04T0600").files[0].changes
    assert told is not None
    last = manifest(tmp_path, "balances_2026-03-03T0600")
    assert told.against == last.sha256()
    assert f"({last.files[0].rows:,} -> " in told.sentence
    # A dry run delivers nothing, so nothing is compared with it; nor with what is about a later instant.
    dry = pipeline.pin(context, definition, occurrence=fourth, dry_run=True).run_key
    pipeline.snapshot(context, dry)
    pipeline.render(context, dry)
    pipeline.settle(context, dry)
    whole(context, definition, occurrence=fourth + timedelta(days=1))
    whole(context, definition, occurrence=fourth + timedelta(minutes=1))
    for day in ("2026-03-06T0600", "2026-03-05T0601"):
        told = manifest(tmp_path, f"balances_{day}").files[0].changes
        assert told is not None
        assert told.against == manifest(tmp_path, "balances_2026-03-04T0600").sha256()


@pytest.mark.slow
def test_a_definition_whose_columns_changed_is_delivered_and_says_that_it_was_not_compared(
    context: Context, define: Define, tmp_path: Path
) -> None:
    compare = {"key": ["holder_id"]}
    whole(context, define(fields=["holder_id", "active"], compare=compare), occurrence=FIRST)
    changed = define(fields=["holder_id", "active", "pending"], compare=compare)
    _, summary = whole(context, changed, occurrence=SECOND)
    assert summary["status"] == "done"
    second = manifest(tmp_path, "balances_2026-03-03T0600.csv.gz")
    assert second.files[0].changes is None
    assert second.alerts == (
        "balances: not compared, since the columns of the last delivery were others: holder_id, active",
    )
    assert summary["files"][0]["told"] == list(second.alerts)


@pytest.mark.slow
def test_a_key_that_does_not_tell_rows_apart_is_said_and_the_file_is_delivered(
    context: Context, define: Define, tmp_path: Path
) -> None:
    definition = define(fields=["holder_id", "subledger_id"], compare={"key": ["subledger_id"], "file": True})
    whole(context, definition, occurrence=FIRST)
    _, summary = whole(context, definition, occurrence=SECOND)
    assert summary["status"] == "done"
    second = manifest(tmp_path, "balances_2026-03-03T0600.csv.gz")
    assert [file.holds for file in second.files] == ["rows"]
    assert second.files[0].changes is None
    [told] = second.alerts
    assert told.startswith("balances: not compared: key: 'subledger_id': must tell rows apart, but ")


def test_a_run_that_repeats_the_last_file_is_skipped_and_done(
    context: Context, define: Define, tmp_path: Path
) -> None:
    one_program = {"programs": ["club"], "grain": "customer"}
    definition = define(options=one_program, fields=["customer_id"], conditions={"only_when_changed": True})
    whole(context, definition, occurrence=FIRST)
    key, summary = whole(context, definition, occurrence=FIRST + timedelta(minutes=1))
    assert summary["status"] == "done"
    assert summary["skipped"] == "nothing changed since balances_2026-03-02T0600.csv.gz was delivered"
    assert summary["files"] == []
    assert summary["deliveries"] == {}
    assert pipeline.render(context, key) == []
    assert pipeline.deliver(context, key, 0) == {"skipped": summary["skipped"]}
    assert len(list((tmp_path / "delivered").glob("*.csv.gz"))) == 1


@pytest.mark.parametrize("policy", ["send", "skip", "fail"])
@pytest.mark.slow
def test_an_empty_run_is_sent_skipped_or_failed(
    context: Context, define: Define, tmp_path: Path, policy: str
) -> None:
    before_anything = datetime(2001, 1, 1, tzinfo=UTC)
    definition = define(conditions={"when_empty": policy})
    if policy == "fail":
        with pytest.raises(Permanent, match="no file of this run has a row"):
            whole(context, definition, as_of=before_anything)
        assert list(context.store.list("artefacts")) == []
        return
    _, summary = whole(context, definition, as_of=before_anything)
    assert summary["skipped"] == (None if policy == "send" else "no file of this run has a row")
    assert (tmp_path / "delivered").exists() == (policy == "send")


@pytest.mark.parametrize(("percent", "told"), [("0", True), ("1000", False)])
@pytest.mark.slow
def test_a_total_that_moved_too_far_is_told(
    context: Context, define: Define, tmp_path: Path, percent: str, told: bool
) -> None:
    definition = define(
        id="owed", model="liability", period="previous_month", schedule={"kind": "monthly", "days": [1], "time": "06:00"},
        conditions={"alerts": [{"column": "closing", "moved_more_than": percent}]},
    )  # fmt: skip
    whole(context, definition, occurrence=datetime(2026, 3, 1, 5, tzinfo=UTC))
    whole(context, definition, occurrence=datetime(2026, 4, 1, 4, tzinfo=UTC))
    first, second = (manifest(tmp_path, f"owed_{month}.csv.gz") for month in ("2026-02", "2026-03"))
    assert first.alerts == ()
    then, now = (Decimal(one.files[0].totals["closing"]) for one in (first, second))
    assert then != now
    percent_moved = abs(now - then) * 100 / then
    expected = (
        f"closing moved by {percent_moved:,.1f} %, from {then:,f} to {now:,f} (alert above {percent} %)",
    )
    assert second.alerts == (expected if told else ())
