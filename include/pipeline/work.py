"""A run whose files are made: its exports, what was written of each so far, and its reports where it is made alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from include.connections import Secrets
from include.definitions.model import ExportDefinition
from include.pipeline.contents import Prepared, Written, prepare
from include.reports.engine.notes import Notes
from include.reports.engine.render import Job
from include.state.runs import RunRecord


@dataclass(eq=False)
class Work:
    """A run with its exports prepared. left_out: exports, by id, that are not made, and what the ledger lacks."""

    run: RunRecord
    definition: ExportDefinition
    scratch: Path
    prepared: list[Prepared]
    left_out: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    _written: dict[str, list[Written]] = field(default_factory=dict)

    @classmethod
    def begun(cls, run: RunRecord, secrets: Secrets, scratch: Path) -> Work:
        """Return the work of a run; `scratch` becomes its folder."""
        definition = ExportDefinition.model_validate(run.definition)
        scratch.mkdir()
        return cls(run, definition, scratch, prepare(definition, run, scratch, secrets))

    def jobs(self) -> list[Job[None]]:
        """Return jobs that write its files while rows come."""
        return [self._job(each) for each in self.prepared]

    def write(self, rows: Callable[[Prepared], Iterator[pa.RecordBatch]]) -> None:
        """Write its files, one export after another, from rows that wait."""
        for each in self.rest():
            self._written[each.part.id] = each.job().sink(rows(each))

    def rest(self) -> list[Prepared]:
        """Return the exports that are made."""
        return [each for each in self.prepared if each.part.id not in self.left_out]

    def written(self) -> list[Written]:
        """Return the files, in the order of the definition."""
        return [file for each in self.rest() for file in self._written[each.part.id]]

    def _job(self, prepared: Prepared) -> Job[None]:
        job = prepared.job()

        def sink(batches: Iterator[pa.RecordBatch]) -> None:
            self._written[prepared.part.id] = job.sink(batches)

        return Job(job.report, job.asked, sink, job.spared)


class OwnReports:
    """The reports of a run that is made alone: its files are written while rows come (else `SharedReports`)."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def jobs(self) -> list[Job[None]]:
        """Return its jobs."""
        return self._work.jobs()

    def failed(self, error: Exception) -> dict[str, Exception]:
        """Return the error by the run's key: whatever it is, it is the run's."""
        return {self._work.run.run_key: error}

    def written(self, work: Work, seen: Notes) -> Notes:
        """Return what was seen; the files are written."""
        work.left_out = seen.left_out
        return seen
