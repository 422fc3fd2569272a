"""A run among those that are made in one pass: its jobs, and which error is its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pyarrow as pa

from include.connections import Secrets
from include.definitions.model import ExportDefinition
from include.errors import BadInput
from include.pipeline.contents import Prepared, Written, prepare
from include.reports.engine.notes import Notes
from include.reports.engine.render import Job, RenderStopped
from include.reports.engine.replay import BookedPartition
from include.reports.model import MISSING, Asked, Cut, LocalSnapshot, Report, ReportModule
from include.state.runs import RunRecord


class OwnError(Exception):
    """A report of the run with this key raised this error: `run_key`, `error`. It may come out of another process."""

    def __init__(self, run_key: str, error: Exception) -> None:
        self.run_key, self.error = run_key, error
        super().__init__(run_key, error)


@dataclass(eq=False)
class Work:
    """A run with its exports prepared, and what was written of each so far. failure: why it cannot be made."""

    run: RunRecord
    definition: ExportDefinition
    scratch: Path
    prepared: list[Prepared]
    failure: Exception | None = None
    _written: dict[str, list[Written]] = field(default_factory=dict)
    _cuts: list[Cut] = field(default_factory=list)
    _missing: dict[str, BadInput] = field(default_factory=dict)

    @classmethod
    def begun(cls, run: RunRecord, secrets: Secrets, scratch: Path) -> Work:
        """Return the work of a run; `scratch` becomes its folder."""
        definition = ExportDefinition.model_validate(run.definition)
        scratch.mkdir()
        return cls(run, definition, scratch, prepare(definition, run, scratch, secrets))

    def jobs(self, together: Sequence[Work]) -> list[Job[None]]:
        """Return its jobs. together: all works of the pass, which goes on while one of them has not failed."""
        return [self._job(each, together) for each in self.prepared]

    def has_failed_by(self, error: Exception) -> bool:
        """Say whether it has a failure of its own, now that this error ended the pass."""
        if isinstance(error, OwnError) and error.run_key == self.run.run_key:
            self.failure = self.failure or error.error
        if len(self._missing) == len(self.prepared):
            self.failure = self.failure or error
        return self.failure is not None

    def rest(self) -> list[Prepared]:
        """Return the exports that were made; raise what kept one from it, or BadInput where all were left out."""
        if self.failure is not None:
            raise self.failure
        found = [each for each in self.prepared if each.part.id not in self._missing]
        if not found:
            raise list(self._missing.values())[-1]
        return found

    def written(self) -> list[Written]:
        """Return the files, in the order of the definition."""
        return [file for each in self.rest() for file in self._written[each.part.id]]

    def notes(self, seen: Notes) -> Notes:
        """Return what the pass saw of its own rows: the same with whomever it is made."""
        missing = {
            name: tuple(problem.value for problem in error.problems) for name, error in self._missing.items()
        }
        return replace(seen.of(self._cuts), left_out=missing)

    def _job(self, prepared: Prepared, together: Sequence[Work]) -> Job[None]:
        job = prepared.job()

        def sink(batches: Iterator[pa.RecordBatch]) -> None:
            try:
                self._written[prepared.part.id] = job.sink(batches)
            except RenderStopped:
                raise
            except Exception as error:
                self.failure = self.failure or error
                if all(each.failure for each in together):
                    raise

        spared = f"{self.run.run_key} {job.spared}" if job.spared else ""
        return Job(cast("ReportModule", _Module(job.report, self, job.spared)), job.asked, sink, spared)

    def begun_report(
        self, module: ReportModule, asked: Asked, snapshot: LocalSnapshot, scratch: Path, spared: str
    ) -> Report:
        """Return a report of it; spared: the name of an export that may be left out."""
        try:
            with _owned(self.run.run_key):
                report = module.report(asked, snapshot, scratch)
        except OwnError as own:
            error = own.error
            if spared and isinstance(error, BadInput) and all(x.code in MISSING for x in error.problems):
                self._missing[spared] = error
                raise error from None  # who renders leaves it out
            raise
        self._cuts += report.cuts
        return cast("Report", _Report(report, self.run.run_key))


@contextmanager
def _owned(run_key: str) -> Iterator[None]:
    """Say whose it is what the block raises; a full disk is everybody's."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise OwnError(run_key, error) from error


class _Module:
    """A report's module whose reports say whose they are."""

    def __init__(self, module: ReportModule, work: Work, spared: str) -> None:
        self._module, self._work, self._spared = module, work, spared

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)

    def report(self, asked: Asked, snapshot: LocalSnapshot, scratch: Path) -> Report:
        return self._work.begun_report(self._module, asked, snapshot, scratch, self._spared)


class _Report:
    """A report that says whose it is."""

    def __init__(self, report: Report, run_key: str) -> None:
        self._report, self._run_key = report, run_key

    def __getattr__(self, name: str) -> Any:
        return getattr(self._report, name)

    def on_partition(self, cut_index: int, partition: BookedPartition) -> Iterable[pa.RecordBatch]:
        with _owned(self._run_key):
            yield from self._report.on_partition(cut_index, partition)

    def on_figures(self, accounts: pa.RecordBatch, first: int) -> Iterable[pa.RecordBatch]:
        with _owned(self._run_key):
            yield from self._report.on_figures(accounts, first)  # type: ignore[attr-defined]

    def finish(self) -> Iterable[pa.RecordBatch]:
        with _owned(self._run_key):
            yield from self._report.finish()
