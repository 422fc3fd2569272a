"""Starting a run of an export for a program that has a key of ours and no login of Airflow.

Runs in the API server, which may use Airflow's database. Who may start it was decided before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.api.common.trigger_dag import trigger_dag
from airflow.exceptions import DagNotFound, DagRunAlreadyExists
from airflow.sdk.exceptions import AirflowException
from airflow.utils.types import DagRunTriggeredByType

from include.errors import BadInput, Problem, Transient


def start(definition_id: str, conf: Mapping[str, Any], by: str) -> str:
    """Have Airflow run an export with these parameters (`parameters`), asked for by `by`; return Airflow's id of it.

    BadInput for parameters that the export does not take, and for an export that Airflow does not know (yet);
    Transient where another one was started in the same instant.
    """
    try:
        run = trigger_dag(
            definition_id,
            triggered_by=DagRunTriggeredByType.REST_API,
            triggering_user_name=by,
            conf=dict(conf),
            replace_microseconds=False,
        )
    except DagNotFound as error:
        right = (
            "Airflow does not know this export yet, or not any more; a new one is known after some seconds"
        )
        raise BadInput([Problem("definition", definition_id, right, "unknown_to_airflow")]) from error
    except DagRunAlreadyExists as error:
        raise Transient("another run was started in the same instant") from error
    except (AirflowException, ValueError) as error:
        right = f"Airflow did not take it: {str(error).splitlines()[0][:300]}"
        raise BadInput([Problem("parameters", "", right, "bad_parameters")]) from error
    if run is None:
        raise Transient("Airflow started no run")
    return str(run.run_id)
