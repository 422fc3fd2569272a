"""A run that a key asks for is a run of Airflow in the key's name, with the parameters that the export takes."""

from __future__ import annotations

from typing import Any

import pytest

from include.errors import BadInput

pytestmark = pytest.mark.slow  # parses every DAG


def test_a_run_is_made_in_the_name_of_the_key(api_server: Any) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session

    from include.orchestration.starting import start
    from tests.web.serve import know_the_dags

    know_the_dags()
    asked = {"as_of": "2026-06-01T00:00:00+00:00", "dry_run": True}
    made = start("daily-balances", asked, "key tests (0)")
    with create_session() as session:
        run = session.query(DagRun).filter(DagRun.dag_id == "daily-balances", DagRun.run_id == made).one()
        assert (run.triggering_user_name, run.conf["as_of"], run.run_type) == (
            "key tests (0)",
            asked["as_of"],
            "manual",
        )
    for name, conf, code in (
        ("no-such-export", {}, "unknown_to_airflow"),
        ("daily-balances", {"dry_run": "perhaps"}, "bad_parameters"),
    ):
        with pytest.raises(BadInput) as refused:
            start(name, conf, "key tests (0)")
        assert [each.code for each in refused.value.problems] == [code]
