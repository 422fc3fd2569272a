"""Processes of Airflow that fork a process for every task have our code before they do; others are spared it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from include.orchestration.environment import variables
from include.settings import ROOT

WORDS = [
    (["scheduler", "--skip-serve-logs"], True),
    (["celery", "worker", "--concurrency", "1"], True),
    (["dag-processor"], False),
    (["celery", "flower"], False),
]


@pytest.mark.slow
@pytest.mark.parametrize(("words", "loaded"), WORDS)
def test_a_process_that_forks_tasks_has_the_pipeline(tmp_path, words, loaded):
    script = f"import sys; sys.argv = {['airflow', *words]}; import airflow.settings; airflow.settings.initialize()"
    asked = "print([name in sys.modules for name in ('include.pipeline', 'include.orchestration.tasks')])"
    environment = {**variables(tmp_path, 8080, os.environ), "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR"}
    done = subprocess.run(
        [sys.executable, "-c", f"{script}; {asked}"],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == str([loaded, loaded])
