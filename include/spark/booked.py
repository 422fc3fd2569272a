"""A report that sees transactions as booked accounts alone: what ranges of accounts can be joined from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from include.errors import BadInput, Problem
from include.reports.model import Asked, LocalSnapshot, Report, ReportModule

TRANSACTIONS = "transactions"


class BookedModule:
    """A report's module as tasks have it, whose transactions are those of a range: its reports take them booked.

    A report may read the files of transactions when it is finished, which is done by who joins the ranges; earlier it
    is refused, since what it would read here is not all.
    """

    def __init__(self, module: ReportModule) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)

    def report(self, asked: Asked, snapshot: LocalSnapshot, scratch: Path) -> Report:
        """Return the report."""
        files = _WithoutTransactions(snapshot.files, self._module.KIND)
        return self._module.report(asked, LocalSnapshot(files, snapshot.columns), scratch)


class _WithoutTransactions(Mapping[str, Sequence[Path]]):
    def __init__(self, files: Mapping[str, Sequence[Path]], kind: str) -> None:
        self._files, self._kind = files, kind

    def __getitem__(self, relation: str) -> Sequence[Path]:
        if relation == TRANSACTIONS:
            raise unbooked(self._kind)
        return self._files[relation]

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def unbooked(kind: str) -> BadInput:
    """Return the error for a report that ranges of accounts cannot make."""
    right = "must be a report of booked accounts; this one is made by `loyalty export run`"
    return BadInput([Problem("report", kind, right, "not_booked")])
