"""docs/kubernetes/values.yaml says nothing that the image, the settings and Compose do not know."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from include.settings import ROOT

TEXT = (ROOT / "docs" / "kubernetes" / "values.yaml").read_text("utf-8")
VALUES = yaml.safe_load(TEXT)
ENVIRONMENT = {each["name"]: each["value"] for each in VALUES["env"]}
IMAGE = (ROOT / "Dockerfile").read_text("utf-8")
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yaml").read_text("utf-8"))


def test_every_task_is_a_pod_and_nothing_that_stays_is_in_one():
    assert VALUES["executor"] == "KubernetesExecutor"
    assert not VALUES["postgresql"]["enabled"]
    assert ENVIRONMENT["LOYALTY_STORE"].startswith("s3://")
    assert VALUES["airflowVersion"] in re.search(r"^FROM (.+)$", IMAGE, re.MULTILINE)[1]


def test_every_setting_of_ours_is_one_that_we_read():
    source = "".join(path.read_text("utf-8") for path in (ROOT / "include").rglob("*.py"))
    ours = set(re.findall(r"\bLOYALTY_[A-Z_]+", TEXT))
    assert {name for name in ours if f'"{name}"' not in source} == set()


@pytest.mark.parametrize(
    "name",
    [
        "PYTHONPATH",
        "AIRFLOW__CORE__DAGS_FOLDER",
        "AIRFLOW__CORE__PLUGINS_FOLDER",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL",
    ],
)
def test_what_the_chart_would_set_otherwise_is_as_in_the_image(name):
    assert f"{name}={ENVIRONMENT[name]}" in IMAGE.replace("'", "")


def test_the_dag_processor_of_a_pod_parses_as_that_of_make_up(tmp_path):
    from include.orchestration.environment import BUNDLES, variables

    here = variables(tmp_path, 8080, {})
    assert json.loads(ENVIRONMENT[BUNDLES]) == json.loads(here[BUNDLES])
    for name in ("MIN_FILE_PROCESS_INTERVAL", "REFRESH_INTERVAL"):
        assert ENVIRONMENT[f"AIRFLOW__DAG_PROCESSOR__{name}"] == here[f"AIRFLOW__DAG_PROCESSOR__{name}"]


def test_no_secret_stands_in_it():
    assert not [
        name
        for name in ENVIRONMENT
        if re.search("SECRET|PASSWORD|KEY|_URL$", name) and name != "LOYALTY_PUBLIC_URL"
    ]


def test_a_pod_has_room_for_a_stage():
    from include.orchestration.pools import SLOT_BYTES

    assert VALUES["workers"]["kubernetes"]["resources"]["requests"]["memory"] == f"{SLOT_BYTES >> 20}Mi"


def test_settings_that_compose_shares_are_the_same():
    compose = COMPOSE["x-airflow"]["environment"]
    same = (
        "LOYALTY_EXPORTS",
        "LOYALTY_STORE",
        "LOYALTY_POOL",
        "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT",
    )
    assert {name: ENVIRONMENT[name] for name in same} == {name: compose[name] for name in same}
