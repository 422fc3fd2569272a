"""Which run is drawn from, and what is refused: a file that is gone, changed, too large, or of another format."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from include.pipeline import Context
from include.pipeline.dashboards import newest
from include.pipeline.dashboards.board import CHARTS, board
from include.pipeline.dashboards.chart import Asked
from include.pipeline.dashboards.frames import frame
from include.pipeline.dashboards.reading import Figures, Unreadable
from include.state.runs import RunRecord
from tests.pipeline.dashboards import made

AS_OF = datetime(2026, 6, 22, 22, tzinfo=UTC)
LINE = b'{"program_id":"p","date":"2026-06-22","total_members":3,"new_members":1}\n'


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(made.settings_in(tmp_path))


def run(context: Context, files: dict[str, bytes], as_of: datetime = AS_OF, **other: Any) -> RunRecord:
    """A run whose files hold these bytes, by part."""
    pinned = context.state.runs.pin(
        RunRecord(
            definition_id="dashboard",
            definition_version="v" * 64,
            definition={"timezone": "Europe/Paris"},
            start=as_of - timedelta(days=30),
            end=as_of,
            as_of=as_of,
            known_at=as_of,
            **other,
        )
    )
    entries = []
    for part, content in files.items():
        name = part if "." in part else f"{part}.jsonl"
        sha256 = hashlib.sha256(content).hexdigest()
        key = f"artefacts/{pinned.run_key}/{sha256}/{name}"
        context.store.put_new(key, content)
        entry = {
            "name": name,
            "sha256": sha256,
            "bytes": len(content),
            "key": key,
            "export": part.split(".")[0],
        }
        entries.append(
            entry | {"media_type": "application/jsonl", "rows": content.count(b"\n"), "totals": {}}
        )
    return context.state.runs.pin_artefacts(pinned.run_key, entries)


def test_no_run_no_figures(context: Context):
    assert newest(context) is None
    context.state.runs.pin(
        RunRecord(
            definition_id="dashboard", definition_version="v" * 64, definition={}, as_of=AS_OF, known_at=AS_OF
        )
    )
    assert newest(context) is None  # it has made nothing yet


def test_the_run_whose_figures_go_furthest_counts_not_the_one_made_last(context: Context):
    furthest = run(context, {"members": LINE})
    run(context, {"members": LINE}, AS_OF - timedelta(days=5))  # a backfill
    run(context, {"members": LINE}, AS_OF + timedelta(days=1), dry_run=True)
    found = newest(context)
    assert found is not None
    assert found.run.run_key == furthest.run_key
    restated = run(context, {"members": LINE}, revision=1)
    assert newest(context).run.run_key == restated.run_key  # type: ignore[union-attr]
    context.state.runs.files_gone(restated.run_key, "retention", {})
    assert newest(context).run.run_key == furthest.run_key  # type: ignore[union-attr]


def test_numbers_are_exact(context: Context):
    run(context, {"points": b'{"program_id":"p","date":"2026-06-22","active":12345678901234567.89}\n'})
    found = newest(context)
    assert found is not None
    [row] = found.rows("points", "p")
    assert f"{row['active']}" == "12345678901234567.89"
    assert found.rows("points", "q") == ()
    assert found.programs() == {"p": "p"}


def test_a_file_that_is_not_what_the_run_made_is_refused(context: Context, tmp_path: Path):
    made_run = run(context, {"members": LINE})
    path = context.store.path(made_run.files[0]["key"])
    assert path is not None
    path.chmod(0o644)
    path.write_bytes(LINE.replace(b"3", b"4"))
    with pytest.raises(Unreadable, match="its hash is another one"):
        Figures(made_run, context).rows("members", "p")
    path.unlink()
    with pytest.raises(Unreadable, match="not kept any more"):
        Figures(made_run, context).rows("members", "p")


def test_other_formats_and_parts_that_are_not_there(context: Context, monkeypatch: pytest.MonkeyPatch):
    figures = Figures(run(context, {"members.csv": b"a,b\n", "points": LINE * 3}), context)
    with pytest.raises(Unreadable, match=r"members.csv is not JSON Lines"):
        figures.rows("members", "p")
    with pytest.raises(Unreadable, match="has no file of tiers"):
        figures.source("tiers")
    monkeypatch.setattr("include.pipeline.dashboards.reading.LARGEST_BYTES", 100)
    with pytest.raises(Unreadable, match="larger than"):
        figures.rows("points", "p")


def test_a_chart_without_its_file_is_missing_and_the_others_are_drawn(context: Context):
    run(context, {"members": LINE})
    figures = newest(context)
    assert figures is not None
    found = board(Asked(figures, "p", "p", frame(figures, "previous_day")))
    assert [chart.name for chart in found.charts] == ["members", "new-members"]
    assert set(found.missing) == set(CHARTS) - {"members", "new-members"}
    assert [tile.title for tile in found.tiles] == ["Members", "New members"]


def test_a_file_is_read_once(context: Context, monkeypatch: pytest.MonkeyPatch):
    figures = Figures(run(context, {"members": LINE + b"\n" * 0}), context)
    figures.rows("members", "p")
    monkeypatch.setattr(context.store, "read", lambda key: pytest.fail(f"read {key} again"))
    assert len(figures.rows("members", "p")) == 1
