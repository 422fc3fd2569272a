"""Ways to spread definitions over DAG files, for `tests.benchmarks.saved`: as it is done, and two others."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from include.orchestration import shards
from include.settings import ROOT

WAYS = ("shards", "one", "each")
_ONE = """
from include.orchestration import shards
from include.orchestration.factory import export_dags
from include.settings import Settings

for _number in range(shards.COUNT):
    globals().update(export_dags(Settings.from_environment(), shards.file_name(_number)))  # all: airflow DAGs
"""
_EACH = """
from include.orchestration.catalogue import entry
from include.orchestration.factory import build
from include.settings import Settings

_found = entry(Settings.from_environment(), "{id}")
dag = _found and build(_found.definition, _found.source)  # an airflow DAG
"""


def environment(way: str, home: Path, shipped: Sequence[str], made: Iterable[str]) -> dict[str, str]:
    """Return the variables of an Airflow whose DAG files are so; other files than ours are written below `home`."""
    if way == "shards":
        return {}
    folder = _folder(home)
    shutil.copytree(ROOT / "dags", folder, ignore=shutil.ignore_patterns("exports*.py", "__pycache__"))
    if way == "one":
        (folder / "exports.py").write_text(_ONE)
    for id_ in {*shipped, *made} if way == "each" else ():
        added(way, home, id_)
    bundle = {
        "name": "dags-folder",
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(folder)},
    }
    return {"AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([bundle])}


def added(way: str, home: Path, definition_id: str) -> None:
    """Write the file of one more definition, where it has one of its own."""
    if way == "each":
        (_folder(home) / f"{definition_id}.py").write_text(_EACH.format(id=definition_id))


def file_of(way: str, definition_id: str) -> str:
    """Return the name of the file that holds a definition."""
    if way == "shards":
        return shards.file_of(definition_id)
    return "exports.py" if way == "one" else f"{definition_id}.py"


def _folder(home: Path) -> Path:
    return home / "dags"
