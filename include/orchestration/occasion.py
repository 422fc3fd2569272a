"""What Airflow knows of an attempt to make a run: who asked, where it is shown, and why a step of it failed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from include.errors import LoyaltyError
from include.notices.reasons import reason

if TYPE_CHECKING:
    from include.definitions.model import ExportDefinition
    from include.pipeline.notify import Occasion

FAILURE = "failure"


def occasion(definition: ExportDefinition, airflow: Mapping[str, Any], public_url: str) -> Occasion:
    """Return who asked for this DAG run and where it is shown. public_url: LOYALTY_PUBLIC_URL, empty when not set."""
    from include.pipeline.notify import Occasion

    run = airflow["dag_run"]
    return Occasion(
        requested_by=run.triggering_user_name,
        login=run.triggering_user_name is not None,
        name=run.run_id,
        page=f"{pages(public_url)}/dags/{run.dag_id}/runs/{quote(run.run_id, safe='')}",
        backfill=is_backfill(run),
        definition=definition,
    )


def pages(public_url: str) -> str:
    """Return the address of Airflow's pages, without a slash at its end."""
    from airflow.sdk.configuration import conf

    return public_url or str(conf.get("api", "base_url", fallback="http://localhost:8080")).rstrip("/")


def is_backfill(run: Any) -> bool:
    """Whether a DAG run is one of a backfill."""
    return str(getattr(run.run_type, "value", run.run_type)) == "backfill"


@contextlib.contextmanager
def telling(step: str, airflow: Mapping[str, Any]) -> Iterator[None]:
    """Leave the reason of a failure as the XCom `failure`, for the notice of the run."""
    try:
        yield
    except LoyaltyError as error:
        airflow["ti"].xcom_push(FAILURE, reason(step, error))
        raise
