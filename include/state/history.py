"""What an export has made so far: its runs page by page, its figures over time, the versions that ran."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select

from include.state.database import Database
from include.state.export_dags import is_open
from include.state.runs import RunRecord, RunStatus
from include.state.tables import RUNS


@dataclass(frozen=True)
class RunPage:
    """Some runs of an export, the newest first, and how many there are on all pages."""

    runs: tuple[RunRecord, ...]
    total: int


@dataclass(frozen=True)
class Ran:
    """A version of a definition that ran: since when, and how often."""

    version: str
    first_at: datetime
    runs: int


@dataclass(frozen=True)
class Figures:
    """The files of one finished run with their rows and totals."""

    run_key: str
    as_of: datetime
    revision: int
    artefacts: tuple[dict[str, Any], ...]


class History:
    """The past of the exports of one state database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, definition_id: str, *, page: int = 1, per_page: int = 20) -> RunPage:
        """Return a page of the export's runs; pages count from 1."""
        return self._page([RUNS.c.definition_id == definition_id], page, per_page)

    def _page(self, which: Sequence[ColumnElement[bool]], page: int, per_page: int) -> RunPage:
        wanted = select(RUNS).where(*which).order_by(RUNS.c.created_at.desc(), RUNS.c.run_key)
        with self._database.read() as connection:
            total = connection.scalar(select(func.count()).select_from(RUNS).where(*which)) or 0
            rows = connection.execute(wanted.offset((page - 1) * per_page).limit(per_page)).all()
        return RunPage(tuple(RunRecord.model_validate(dict(row._mapping)) for row in rows), total)  # noqa: SLF001

    def search(
        self,
        definition_ids: Collection[str] | None = None,
        *,
        status: RunStatus | None = None,
        since: datetime | None = None,
        page: int = 1,
        per_page: int = 20,
    ) -> RunPage:
        """Return a page of the runs of some exports, None for all, that were pinned since; pages count from 1."""
        wanted: list[ColumnElement[bool]] = []
        if definition_ids is not None:
            wanted.append(RUNS.c.definition_id.in_(definition_ids))
        if status is not None:
            wanted.append(RUNS.c.status == status.value)
        if since is not None:
            wanted.append(RUNS.c.created_at >= since)
        return self._page(wanted, page, per_page)

    def figures(self, definition_id: str, *, limit: int = 30) -> tuple[Figures, ...]:
        """Return the figures of the newest finished runs, the oldest first; of a period only its newest revision."""
        wanted = (
            select(RUNS.c.run_key, RUNS.c.as_of, RUNS.c.revision, RUNS.c.artefacts)
            .where(
                RUNS.c.definition_id == definition_id,
                RUNS.c.status == RunStatus.DONE.value,
                RUNS.c.dry_run.is_(False),
                RUNS.c.artefacts.is_not(None),
            )
            .order_by(RUNS.c.as_of.desc(), RUNS.c.revision.desc(), RUNS.c.created_at.desc())
            .limit(limit * 2)
        )
        found: dict[datetime, Figures] = {}
        with self._database.read() as connection:
            for row in connection.execute(wanted):
                if not any("skipped" in each for each in row.artefacts):
                    found.setdefault(
                        row.as_of, Figures(row.run_key, row.as_of, row.revision, tuple(row.artefacts))
                    )
        return tuple(list(found.values())[:limit][::-1])

    def versions(self, definition_id: str) -> tuple[Ran, ...]:
        """Return every version that ran, the newest first."""
        times = func.min(RUNS.c.created_at), func.count()
        wanted = (
            select(RUNS.c.definition_version, *times)
            .where(RUNS.c.definition_id == definition_id)
            .group_by(RUNS.c.definition_version)
            .order_by(func.max(RUNS.c.created_at).desc())
        )
        with self._database.read() as connection:
            return tuple(Ran(*row) for row in connection.execute(wanted))

    def of_version(self, definition_id: str, version: str) -> RunRecord | None:
        """Return the newest run of a version, or None."""
        return self._one(RUNS.c.definition_id == definition_id, RUNS.c.definition_version == version)

    def newest(self, definition_id: str) -> RunRecord | None:
        """Return the newest run of an export, or None."""
        return self._one(RUNS.c.definition_id == definition_id)

    def is_at_work(self, definition_id: str) -> bool:
        """Say whether a run of the export is open: until that is over its DAG stays, whatever becomes of it."""
        return self._one(RUNS.c.definition_id == definition_id, is_open()) is not None

    def _one(self, *where: ColumnElement[bool]) -> RunRecord | None:
        wanted = select(RUNS).where(*where).order_by(RUNS.c.created_at.desc(), RUNS.c.run_key).limit(1)
        with self._database.read() as connection:
            row = connection.execute(wanted).first()
        return None if row is None else RunRecord.model_validate(dict(row._mapping))  # noqa: SLF001
