"""The driver's side: a plan's rows as a Spark DataFrame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from include.ledger.catalog import RELATIONS, arrow_schema
from include.reports.engine.blocking import NAMED_ROWS, Blocking
from include.spark import tasks
from include.spark.booked import TRANSACTIONS
from include.spark.failures import raised
from include.spark.joining import check, joined
from include.spark.plan import Plan
from include.spark.types import ddl, report_ddl

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def rows(spark: SparkSession, plan: Plan) -> DataFrame:
    """Return the report's rows, in its order: partition by partition, as Spark writes and collects them.

    First the ledger is looked through for rows that stop a run: they raise LedgerViolation, which names them. Where
    rows are each of one account, the rest happens when the DataFrame is used; its errors are Spark's then, and
    `failures.raised` makes ours of them. Other reports are joined here, on the driver, which then holds their rows.
    """
    with raised():
        if not plan.is_of_accounts:
            check(plan)
        _stop_on_problems(spark, plan)
    schema = arrow_schema(RELATIONS[TRANSACTIONS], plan.columns)
    spread = _of_files(spark, plan, tasks.spread(plan), schema.append(pa.field(tasks.RANGE, pa.int32())))
    ranges = spread.repartitionById(plan.tasks, spread[tasks.RANGE])
    kind = report_ddl(plan.module.columns(plan.asked.options))
    if plan.is_of_accounts:
        return ranges.mapInArrow(tasks.report(plan), kind)
    with raised():
        parts = ranges.mapInArrow(tasks.part(plan), ddl(tasks.PARTS)).toLocalIterator()
        found = joined(plan, ((row[tasks.RANGE], bytes(row["piece"])) for row in parts))
    return spark.createDataFrame(found, schema=kind)


def _stop_on_problems(spark: SparkSession, plan: Plan) -> None:
    blocking = Blocking()
    for found in _of_files(spark, plan, tasks.problems(plan), tasks.PROBLEMS).collect():
        blocking.note(found["rule"], found["count"], found["ids"])
    twice = _of_files(spark, plan, tasks.ids(plan), tasks.IDS).groupBy("transaction_id").count()
    twice = twice.filter("count > 1 and transaction_id is not null")
    if count := twice.count():
        named = twice.orderBy("transaction_id").limit(NAMED_ROWS).collect()
        blocking.note("transaction_id twice", count, [row["transaction_id"] for row in named])
    blocking.stop()


def _of_files(spark: SparkSession, plan: Plan, task: tasks.Task, schema: pa.Schema) -> DataFrame:
    """Return what a task gives for each file of transactions: a Spark task for each."""
    count = len(plan.manifest.relations[TRANSACTIONS].files)
    return spark.range(0, count, 1, max(1, count)).mapInArrow(task, ddl(schema))
