"""Exports that Airflow knows: their DAGs are in its database, as its DAG processor writes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from include.definitions.load import from_document

OWN = {"sec-fetch-site": "same-origin"}


@pytest.fixture
def known(api_server: Any) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Make Airflow know an export by its document; runs and backfills of it are gone after the test."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
    from airflow.models import DagRun
    from airflow.models.backfill import Backfill, BackfillDagRun
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session
    from sqlalchemy import delete, update

    from include.orchestration.factory import build

    made: list[str] = []

    def know(document: dict[str, Any]) -> None:
        DagBundlesManager().sync_bundles_to_db()
        bag = DagBag("/dev/null", bundle_path="/dev")
        dag = build(from_document(document, where="test"))
        bag.bag_dag(dag)
        sync_bag_to_db(bag, "dags-folder", None)
        made.append(dag.dag_id)

    yield know
    with create_session() as session:
        backfills = [one.id for one in session.query(Backfill).filter(Backfill.dag_id.in_(made))]
        session.execute(delete(BackfillDagRun).where(BackfillDagRun.backfill_id.in_(backfills)))
        session.execute(delete(DagRun).where(DagRun.dag_id.in_(made)))
        session.execute(delete(Backfill).where(Backfill.id.in_(backfills)))
        session.execute(update(DagModel).where(DagModel.dag_id.in_(made)).values(is_paused=False))


def dag_runs(dag_id: str) -> list[Any]:
    """What Airflow's own database says of the runs of a DAG."""
    from airflow.models import DagRun
    from airflow.utils.session import create_session

    with create_session() as session:
        found = session.query(DagRun).filter(DagRun.dag_id == dag_id).order_by(DagRun.run_after).all()
        session.expunge_all()
        return found


def press(client: Any, page: str, path: str, **fields: Any) -> Any:
    """Open a page, and send a form of it."""
    shown = client.get(page)
    assert shown.status_code == 200, shown.text
    return client.post(path, data={"form_token": token_of(shown), **fields}, headers=OWN)


def token_of(page: Any) -> str:
    """What the forms of a page bring."""
    found = re.search(r'name="form_token" value="([0-9a-f]{64})"', page.text)
    assert found, "the page has no form"
    return found.group(1)


def told(client: Any, answer: Any) -> str:
    """What the page after a form says."""
    assert answer.status_code == 303, answer.text
    page = client.get(str(answer.url.join(answer.headers["location"])))
    found = re.search(r'role="status">([^<]*)</p>', page.text)
    return found.group(1) if found else ""
