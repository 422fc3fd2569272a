"""A page of the newest transactions is the same whether all rows are read for it or the newest alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.pipeline.answers import newest, report
from include.pipeline.answers.report import Question, answered_rows, definition_of
from include.snapshots import parquet
from include.snapshots.manifest import SnapshotFile, SnapshotManifest, SnapshotRelation
from tests.pipeline.conftest import PLAN

pytestmark = pytest.mark.usefixtures("inline")
END = PLAN.end
FIELDS = ["transaction_id", "created_at", "type", "points"]
RARE = [{"field": "type", "is": "transferred_out"}]
MONTHS = [{"field": "created_at", "before": "2024-06-01"}]


@pytest.fixture
def many_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six thousand rows are as many files as millions are, and a look takes some of them."""
    monkeypatch.setattr(parquet, "FILE_ROWS", 400)
    monkeypatch.setattr(parquet, "ROW_GROUP_ROWS", 200)
    monkeypatch.setattr(newest, "NEAR_ROWS", 600)


def asked(limit: int = 51, **keys: Any) -> dict[str, Any]:
    order = ["-created_at", "-transaction_id"]
    return {
        "model": "transactions",
        "fields": FIELDS,
        "order": order,
        "limit": limit,
        "timezone": "UTC",
        **keys,
    }


@pytest.mark.parametrize(
    ("document", "period", "looks"),
    [
        (asked(), {}, 1),
        (asked(limit=1), {}, 1),
        (asked(limit=599), {}, 1),
        (asked(filters=[{"field": "type", "is_not": "expired"}]), {}, 1),
        (asked(filters=RARE), {}, 2),  # not so many lie near the end
        (asked(filters=MONTHS), {}, 2),
        (asked(), {"end": datetime(2024, 6, 1, tzinfo=UTC)}, 1),
        (asked(), {"start": datetime(2024, 1, 1, tzinfo=UTC), "end": datetime(2025, 6, 1, tzinfo=UTC)}, 1),
        (asked(), {"start": END - timedelta(hours=30)}, 1),  # all that is asked for is near
        (asked(), {"end": datetime(2020, 1, 1, tzinfo=UTC)}, 1),  # there is nothing
        (asked(order=["created_at"]), {}, 1),
        (asked(order=["-points", "-created_at"]), {}, 1),
        (asked(limit=9000), {}, 1),
    ],
)
def test_it_is_that_of_everything(context, many_files, monkeypatch, document, period, looks):
    drawn: list[int] = []
    monkeypatch.setattr("include.pipeline.answers.stage.render", _counting(drawn))
    found = rows(context, document, period)
    assert len(drawn) == looks
    monkeypatch.setattr(report, "make_near", lambda *_: None)
    assert found == rows(context, document, period)
    assert found or "end" in period


def _counting(drawn: list[int]) -> Any:
    from include.reports.engine.render import render

    def counted(jobs: Any, *arguments: Any, **how: Any) -> Any:
        drawn.append(len(jobs))
        return render(jobs, *arguments, **how)

    return counted


def rows(context: Any, document: dict[str, Any], period: dict[str, datetime]) -> list[dict[str, Any]]:
    question = Question(definition_of(document), **period)
    with answered_rows(context, question, personal=True, by="test") as answer:
        return [row for batch in answer.batches() for row in batch.to_pylist()]


def file(first: int, hours: int, count: int) -> SnapshotFile:
    begun = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=first)
    last = begun + timedelta(hours=hours)
    return SnapshotFile(
        key="x", rows=count, bytes=1, sha256="0", first_created_at=begun, last_created_at=last
    )


@given(
    files=st.lists(
        st.builds(file, st.integers(0, 500), st.integers(0, 300), st.integers(1, 300_000)), max_size=8
    ),
    end=st.integers(-10, 900),
    start=st.none() | st.integers(-10, 900),
)
def test_a_look_begins_within_what_was_asked_for_and_says_when_that_is_all(files, end, start):
    def moment(hour: int) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hour)

    read = SnapshotManifest.model_construct(
        relations={"transactions": SnapshotRelation(columns=(), rows=0, files=tuple(files))}
    )
    [part] = definition_of(asked()).parts
    since = None if start is None else moment(start)
    found = newest.near(part, read, since, moment(end))
    assert found is not None
    if found.whole:
        assert found.start == since
    else:
        assert found.start is not None
        assert found.start < moment(end)
        assert since is None or found.start > since
        # So much was asked for that not all of it is near.
        assert sum(each.rows for each in files if each.first_created_at < moment(end)) >= newest.NEAR_ROWS


@pytest.mark.parametrize(
    "document",
    [
        asked(limit=newest.MOST_WANTED + 1),
        asked(order=["created_at"]),
        asked(order=["-points"]),
        {**asked(), "model": "history", "fields": ["transaction_id"], "order": ["-created_at"]},
        {key: value for key, value in asked().items() if key != "limit"},
    ],
)
def test_what_is_no_page_of_the_newest_is_not_looked_at_first(document):
    [part] = definition_of(document).parts
    assert newest.near(part, SnapshotManifest.model_construct(relations={}), None, END) is None
