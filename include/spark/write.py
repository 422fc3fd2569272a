"""A report written by Spark: the snapshot is held meanwhile, and who asked is told to the audit chain."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from include.errors import BadInput, Permanent, Problem
from include.pipeline.context import Context
from include.snapshots import registry
from include.snapshots.store import Missing
from include.spark import frame
from include.spark.failures import raised
from include.spark.plan import Plan
from include.state.audit import Action
from include.state.tables import instant

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_INSTALL = "install the extra: pip install --require-hashes -r requirements-spark.txt"


@contextmanager
def session(master: str | None = None) -> Iterator[SparkSession]:
    """Give a Spark session, stopped in the end; master: by default what Spark's own settings say.

    Raises Permanent without the extra or without Java.
    """
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    try:
        from pyspark.errors import PySparkRuntimeError
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise Permanent(f"PySpark is not installed; {_INSTALL}") from error
    builder = SparkSession.builder.appName("loyalty")
    builder = builder.config("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")
    builder = builder.config("spark.sql.session.timeZone", "UTC")
    try:
        spark = (builder.master(master) if master else builder).getOrCreate()
    except PySparkRuntimeError as error:
        raise Permanent(f"Spark does not start; it needs Java 17 or later: {error}") from error
    try:
        yield spark
    finally:
        spark.stop()


def write(context: Context, spark: SparkSession, plan: Plan, out: str, kind: str, *, by: str) -> int:
    """Write the rows below `out`, a new folder or URL of Spark's, in the format `kind`; return how many.

    The files' names give the report's order. by: who asks. Raises what the tasks met, and Permanent when somebody in
    the snapshot was erased meanwhile: what was written must go.
    """
    from pyspark.errors import AnalysisException

    holder = f"spark-{uuid.uuid4().hex}"
    if not context.state.snapshots.refer(plan.manifest.id, holder):
        raise Missing(f"snapshot {plan.manifest.id} is not fit for use any more")
    try:
        with raised():
            try:
                frame.rows(spark, plan).write.format(kind).save(out)
            except AnalysisException as error:
                raise BadInput(
                    [Problem("out", out, str(error).splitlines()[0], "spark_cannot_write")]
                ) from error
        rows: int = spark.read.format(kind).load(out).count()
        try:
            registry.load(context.store, context.state, plan.manifest.id)
        except Missing as error:
            raise Permanent(f"{error} meanwhile: remove {out} and ask again") from error
    finally:
        context.state.snapshots.unrefer(plan.manifest.id, holder)
    detail = {
        "model": plan.report,
        "as_of": instant(plan.asked.as_of),
        "start": None if plan.asked.start is None else instant(plan.asked.start),
        "rows": rows,
        "personal": any(column.pii for column in plan.module.columns(plan.asked.options)),
    }
    context.state.audit.write(by, Action.REPORT_READ, f"spark:{plan.manifest.id}", detail)
    return rows
