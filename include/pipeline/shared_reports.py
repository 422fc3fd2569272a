"""The reports that the runs of a pass are made from: what several exports ask is reported once, for all of them.

Its rows wait in scratch until each run's files are written from them. So a pass takes memory by what is asked, not by
how many ask it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pyarrow as pa

from include.errors import BadInput
from include.pipeline.asking import Key, key_of
from include.pipeline.contents import Prepared
from include.pipeline.work import Work
from include.reports.engine.notes import Notes
from include.reports.engine.render import Job
from include.reports.engine.replay import BookedPartition
from include.reports.engine.shares import Written, read
from include.reports.model import MISSING, Asked, Cut, LocalSnapshot, Report, ReportModule


class ReportFailed(Exception):
    """A shared report (`number`) raised this error: `number`, `error`. It may come out of another process."""

    def __init__(self, number: int, error: Exception) -> None:
        self.number, self.error = number, error
        super().__init__(number, error)


class SharedReports:
    """The reports that works are made from, each once, and their rows, in files below `folder`."""

    def __init__(self, works: Sequence[Work], folder: Path) -> None:
        self._works = works
        self._reports: dict[Key, _Shared] = {}
        for work in works:
            for each in work.prepared:
                key = key_of(each.part, each.asked)
                known = self._reports.get(key)
                if known is None:
                    self._reports[key] = _Shared(len(self._reports), each, folder)
                else:
                    known.asked = _both(known.asked, each.asked)

    def jobs(self) -> list[Job[None]]:
        """Return a job for each."""
        return [each.job() for each in self._reports.values()]

    def failed(self, error: Exception) -> dict[str, Exception]:
        """Return the errors of the runs that an error of the pass is about, by run key; those of nobody: none."""
        missing = {work.run.run_key: self._of(work.prepared[-1]).missing for work in self._works}
        if all(each.missing for each in self._reports.values()):
            return {key: lacks for key, lacks in missing.items() if lacks is not None}
        if not isinstance(error, ReportFailed):
            return {}
        return {
            work.run.run_key: error.error
            for work in self._works
            if any(self._of(each).number == error.number for each in work.prepared)
        }

    def written(self, work: Work, seen: Notes) -> Notes:
        """Write the files of a run; return what the pass saw of its own rows: the same with whomever it is made.

        Raises BadInput where the ledger lacks something for all of its exports.
        """
        lacking = {each.part.id: self._of(each).missing for each in work.prepared}
        found = {name: error for name, error in lacking.items() if error is not None}
        if len(found) == len(work.prepared):
            raise list(found.values())[-1]
        work.left_out = {
            name: tuple(f"{problem.value}" for problem in error.problems) for name, error in found.items()
        }
        work.write(lambda prepared: self._of(prepared).rows())
        cuts = [cut for each in work.prepared for cut in self._of(each).cuts]
        return replace(seen.of(cuts), left_out=dict(work.left_out))

    def _of(self, prepared: Prepared) -> _Shared:
        return self._reports[key_of(prepared.part, prepared.asked)]


class _Shared:
    """One of them. It is the module of its report, too: the report says whose it is what it raises."""

    def __init__(self, number: int, first: Prepared, folder: Path) -> None:
        self.number, self.asked = number, first.asked
        self.cuts: tuple[Cut, ...] = ()
        self.missing: BadInput | None = None
        self._module = first.model
        self._spared = first.job().spared
        self._written = Written(folder / f"shared-{number}", "lz4")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)

    def job(self) -> Job[None]:
        """Return the job that lets its rows wait."""
        spared = f"{self.number}" if self._spared else ""
        return Job(cast("ReportModule", self), self.asked, self._keep, spared)

    def report(self, asked: Asked, snapshot: LocalSnapshot, scratch: Path) -> Report:
        """Return the report."""
        try:
            with _named(self.number):
                report = self._module.report(asked, snapshot, scratch)
        except ReportFailed as failed:
            error = failed.error
            if (
                self._spared
                and isinstance(error, BadInput)
                and all(x.code in MISSING for x in error.problems)
            ):
                self.missing = error
                raise error from None  # who renders leaves it out
            raise
        self.cuts = report.cuts
        return cast("Report", _Report(report, self.number))

    def rows(self) -> Iterator[pa.RecordBatch]:
        """Yield its rows; as often as anybody asks."""
        return read(self._written.close(), keep=True)

    def _keep(self, batches: Iterator[pa.RecordBatch]) -> None:
        for batch in batches:
            self._written.write(batch)
        self._written.close()


class _Report:
    """A report that says whose it is what it raises."""

    def __init__(self, report: Report, number: int) -> None:
        self._report, self._number = report, number

    def __getattr__(self, name: str) -> Any:
        return getattr(self._report, name)

    def on_partition(self, cut_index: int, partition: BookedPartition) -> Iterable[pa.RecordBatch]:
        with _named(self._number):
            yield from self._report.on_partition(cut_index, partition)

    def on_figures(self, accounts: pa.RecordBatch, first: int) -> Iterable[pa.RecordBatch]:
        with _named(self._number):
            yield from self._report.on_figures(accounts, first)  # type: ignore[attr-defined]

    def finish(self) -> Iterable[pa.RecordBatch]:
        with _named(self._number):
            yield from self._report.finish()


@contextmanager
def _named(number: int) -> Iterator[None]:
    """Say whose it is what the block raises; a full disk is everybody's."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise ReportFailed(number, error) from error


def _both(one: Asked, other: Asked) -> Asked:
    """Return what serves both."""
    wanted = None if one.wanted is None or other.wanted is None else one.wanted | other.wanted
    return replace(one, wanted=wanted, keep=one.keep if one.keep == other.keep else None)
