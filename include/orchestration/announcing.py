"""Telling Airflow's DAG processor that a definition has changed, so that its DAG is there within seconds.

Runs in the API server, which may use Airflow's database. The processor would look by itself, but not so soon.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from logging import getLogger
from pathlib import PurePosixPath
from threading import Thread
from typing import Any

from airflow.models.dag import DagModel
from airflow.models.dagbag import DagPriorityParsingRequest
from airflow.utils.session import create_session
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from include.orchestration.shards import file_of
from include.orchestration.upkeep import ID as ALWAYS_THERE

LOG = getLogger(__name__)
# A request for a file that is being parsed at that moment is lost: it is made again after each of these seconds.
AGAIN = (1.2, 1.8, 3.0, 5.0)


def announce(definition_id: str) -> None:
    """Have the export's file parsed now. Returns at once; what goes wrong is logged: it is parsed soon anyway."""
    since = datetime.now(UTC)
    if request(file_of(definition_id)):
        Thread(target=_until_parsed, args=(definition_id, since), daemon=True).start()


def _until_parsed(definition_id: str, since: datetime) -> None:
    """Ask again until the DAG was parsed by a process that began after `since`."""
    for pause in AGAIN:
        time.sleep(pause)
        if _is_parsed(definition_id, since) or not request(file_of(definition_id)):
            return


def request(file: str) -> bool:
    """Queue a DAG file of ours for parsing, by its name; return whether that is possible."""
    try:
        with create_session(scoped=False) as session:
            place = _place(session, file)
            if place is None:
                return False
            try:
                with session.begin_nested():
                    session.add(DagPriorityParsingRequest(*place))
            except IntegrityError:  # it is queued already
                pass
    except SQLAlchemyError:
        LOG.exception("Airflow could not be asked to parse %s", file)
        return False
    return True


def _place(session: Any, file: str) -> tuple[str, str] | None:
    """Return the bundle of our DAG files and the place of a file in it; None before any was parsed."""
    wanted = select(DagModel.bundle_name, DagModel.relative_fileloc).where(DagModel.dag_id == ALWAYS_THERE)
    row = session.execute(wanted).first()
    if row is None or not row.bundle_name or not row.relative_fileloc:
        return None
    return row.bundle_name, str(PurePosixPath(row.relative_fileloc).with_name(file))


def _is_parsed(definition_id: str, since: datetime) -> bool:
    wanted = select(DagModel.last_parsed_time, DagModel.last_parse_duration)
    try:
        with create_session(scoped=False) as session:
            row = session.execute(wanted.where(DagModel.dag_id == definition_id)).first()
    except SQLAlchemyError:
        LOG.exception("Airflow could not be asked when %s was parsed", definition_id)
        return False
    if row is None or row.last_parsed_time is None:
        return False
    return bool(row.last_parsed_time - timedelta(seconds=row.last_parse_duration or 0) >= since)
