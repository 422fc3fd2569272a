"""Rendering several reports at once: what failing and stopping do to the others, and that nothing is left."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pyarrow as pa
import pytest

from include.errors import Permanent
from include.reports import balance, history, lots
from include.reports.engine.render import Job, RenderStopped, render
from tests.reports.conftest import SAMPLE_END
from tests.reports.small import asked, table


def count(batches: Iterator[pa.RecordBatch]) -> int:
    return sum(len(batch) for batch in batches)


@pytest.mark.slow
def test_one_pass_serves_reports_at_several_instants(sample, tmp_path):
    early = SAMPLE_END - 300 * 86_400_000_000
    jobs = [Job(m, asked(m, as_of), count) for m in (history, balance, lots) for as_of in (early, SAMPLE_END)]
    alone = [
        len(table(m, sample, tmp_path, as_of))
        for m in (history, balance, lots)
        for as_of in (early, SAMPLE_END)
    ]
    assert render(jobs, sample, tmp_path) == alone
    assert list(tmp_path.iterdir()) == []


def test_a_failing_sink_stops_the_others_and_leaves_nothing(sample, tmp_path):
    seen: list[BaseException] = []

    def fails(batches: Iterator[pa.RecordBatch]) -> int:
        next(batches)
        raise Permanent("the disk is full")

    def watches(batches: Iterator[pa.RecordBatch]) -> int:
        try:
            return count(batches)
        except RenderStopped as error:
            seen.append(error)
            raise

    jobs = [
        Job(history, asked(history, SAMPLE_END), fails),
        Job(balance, asked(balance, SAMPLE_END), watches),
    ]
    with pytest.raises(Permanent, match="the disk is full"):
        # More partitions than batches fit a queue: no report is over before the error of the sink is met.
        render(jobs, sample, tmp_path, partitions=9)
    assert len(seen) == 1
    assert list(tmp_path.iterdir()) == []
    assert not [thread for thread in threading.enumerate() if thread.name in {"sink", "ahead"}]


def test_a_sink_may_stop_early(sample, tmp_path):
    def first(batches: Iterator[pa.RecordBatch]) -> int:
        return len(next(batches))

    jobs = [Job(history, asked(history, SAMPLE_END), first), Job(history, asked(history, SAMPLE_END), count)]
    preview, whole = render(jobs, sample, tmp_path, partitions=9)
    assert 0 < preview < whole


@pytest.mark.skipif(not os.access("/dev/full", os.W_OK), reason="there is no /dev/full here")
def test_a_full_scratch_is_permanent_and_named(sample, tmp_path, monkeypatch):
    # The first partition's file is a device that is always full.
    from include.reports.engine import splitting

    class Full(splitting.Scatter):
        def __init__(self, folder, prefix, count):
            super().__init__(folder, prefix, count)
            if prefix == "part":
                self._paths[0].symlink_to("/dev/full")

    monkeypatch.setattr("include.reports.engine.partitions.Scatter", Full)
    with pytest.raises(Permanent, match="no space is left in"):
        render([Job(balance, asked(balance, SAMPLE_END), count)], sample, tmp_path, partitions=2)
    assert list(tmp_path.iterdir()) == []


def test_progress_ends_at_all_rows(sample, tmp_path):
    seen: list[tuple[str, int, int]] = []
    render(
        [Job(balance, asked(balance, SAMPLE_END), count)],
        sample,
        tmp_path,
        progress=lambda *x: seen.append(x),
    )
    assert ("partition", 9_000, 9_000) in seen
    assert seen[-1] == ("book", 9_000, 9_000)
