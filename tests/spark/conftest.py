"""A Spark of our own on loopback, one for all tests; PySpark is where scripts/extra.sh puts it, or installed."""

from __future__ import annotations

import gc
import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from include.settings import ROOT

INSTALLED = ROOT / ".venv" / "spark"


@pytest.fixture(scope="session")
def pyspark() -> None:
    """Make PySpark importable, here and in what is started from here."""
    if importlib.util.find_spec("pyspark") is None and INSTALLED.is_dir():
        sys.path.append(str(INSTALLED))
        os.environ["PYTHONPATH"] = os.pathsep.join(
            filter(None, (os.environ.get("PYTHONPATH"), str(INSTALLED)))
        )
    missing = [
        *(
            []
            if importlib.util.find_spec("pyspark")
            else ["PySpark is not installed: scripts/extra.sh spark"]
        ),
        *([] if shutil.which("java") else ["Java is not installed: apt-get install openjdk-17-jre-headless"]),
    ]
    if missing:
        if os.environ.get("CI"):
            pytest.fail("; ".join(missing))
        pytest.skip("; ".join(missing))
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"


@pytest.fixture(scope="session")
def spark_settings(pyspark: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of Spark's settings: no pages, nothing outside loopback, all files below the tests' folder."""
    folder = tmp_path_factory.mktemp("spark")
    settings = {
        "spark.ui.enabled": "false",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "1g",
        # A JVM of seconds: no compiler or collector that only pays after minutes, no counters on disk.
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:-UsePerfData",
        "spark.local.dir": str(folder),
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.sql.shuffle.partitions": "2",
        "spark.log.level": "OFF",
    }
    lines = [f"{name} {value}\n" for name, value in settings.items()]
    (folder / "spark-defaults.conf").write_text("".join(lines))
    os.environ["SPARK_CONF_DIR"] = str(folder)
    return folder


@pytest.fixture(scope="package")
def spark(spark_settings: Path) -> Iterator[Any]:
    """A session on two cores; neither its JVM nor a thread nor garbage of it outlives these tests."""
    from include.spark.write import session

    with session("local[2]") as found:
        gateway = found.sparkContext._gateway
        yield found
    jvm = gateway.proc
    gateway.shutdown()
    jvm.stdin.close()
    jvm.wait(30)
    of_spark = type(found.sparkContext)
    of_spark._gateway = of_spark._jvm = None
    gc.collect()
