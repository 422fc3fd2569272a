"""Rule: a report whose rows are of accounts is, for all accounts, its ranges of the account hash one after another.

What Spark's workers do, called without Spark: test_spark.py spreads the same work by Spark itself.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from include.errors import BadInput, LedgerViolation, Permanent
from include.reports import models
from include.reports.engine.render import Job, render
from include.spark import tasks
from include.spark.failures import TaskFailed, raised, told
from include.spark.joining import check, joined
from include.spark.plan import Plan
from include.spark.types import spark_batch
from tests.examples import examples
from tests.spark.ledgers import others, planned, random_rows, stored, whole

OF_ACCOUNTS = {
    "balance": {},
    "history": {"profile": "all"},
    "lots": {},
    "allocations": {},
    "projection": {"grain": "account", "days": 3},
    "points_expiration": {},
}
# The others that are made of booked accounts: ranges are joined.
JOINED = {
    "ageing": {},
    "balance": {"grain": "customer"},
    "customers": {},
    "expiry_by_month": {},
    "journal": {},
    "liability": {},
    "liability_by_month": {},
    "points_accounting": {},
    "points_total": {},
    "projection": {"grain": "customer", "days": 3},
    "redemption": {},
    "redemption_by_cohort": {},
    "rewards_by_day": {},
    "rollforward_by_day": {},
    "voucher_transactions": {},
    "vouchers": {},
}


def in_ranges(plan: Plan, random: Random) -> pa.Table:
    """Every range's rows, whose transactions come in any order, one range after another."""
    count = len(plan.manifest.relations["transactions"].files)
    places = pa.record_batch({"id": pa.array(range(count))})
    rows = pa.Table.from_batches(tasks.spread(plan)(iter([places])))
    found = []
    task, numbers = tasks.report(plan), range(plan.tasks)
    if not plan.is_of_accounts:  # parts may come in any order
        task, numbers = tasks.part(plan), random.sample(range(plan.tasks), plan.tasks)
    for number in numbers:
        mine = rows.filter(pa.compute.equal(rows[tasks.RANGE], number))
        mixed = mine.take(pa.array(random.sample(range(len(mine)), len(mine)), pa.int64()))
        found += task(iter(mixed.to_batches(max_chunksize=7)))
    if not plan.is_of_accounts:
        return joined(
            plan, ((row[tasks.RANGE], row["piece"]) for batch in found for row in batch.to_pylist())
        )
    return pa.Table.from_batches(found).combine_chunks() if found else pa.table({})


def in_one(plan: Plan, folder: Path) -> pa.Table:
    """The rows as a run makes them."""
    module = plan.module
    (batches,) = render([Job(module, plan.asked, list)], whole(folder, plan.manifest), plan.scratch)
    columns = module.columns(plan.asked.options)
    plain = [pa.Table.from_batches([batch]).unify_dictionaries() for batch in batches]
    decoded = [
        pa.record_batch({name: tasks.plain(table[name].combine_chunks()) for name in table.column_names})
        for table in plain
    ]
    found = [spark_batch(columns, batch) for batch in decoded]
    return pa.Table.from_batches(found).combine_chunks() if found else pa.table({})


@pytest.mark.slow
@examples(60, suppress_health_check=list(HealthCheck))
@given(
    asked=st.sampled_from([*OF_ACCOUNTS.items(), *JOINED.items()]),
    seed=st.integers(0, 2**32),
    ranges=st.integers(1, 5),
    as_of=st.integers(1, 60),
    start=st.integers(0, 50),
)
def test_ranges_make_the_whole(asked, seed, ranges, as_of, start):
    """Rows of accounts, sums, and rows of customers whose accounts lie in several ranges."""
    report, options = asked
    period = models.load(report, where="test").PERIOD
    from_start = {"none": None, "optional": start if start < as_of else None}.get(
        period, min(start, as_of - 1)
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "store"
        folder.mkdir()
        (folder.parent / "scratch").mkdir()
        manifest = stored(folder, {"transactions": random_rows(seed, 8), **others(8)})
        plan = planned(folder, manifest, report, as_of, tasks=ranges, start=from_start, **options)
        if not plan.is_of_accounts:
            check(plan)
        found, wanted = in_ranges(plan, Random(seed)), in_one(plan, folder)
        assert found.equals(wanted) if len(wanted) else len(found) == 0
        assert not list(plan.scratch.glob("spark-????????")), "scratch is left clean"


def test_all_models_are_tried(small):
    """Guards the lists above: a model is of accounts, joined, or refused."""
    declared = {name for name in models.names() if hasattr(models.load(name, where="test"), "of_accounts")}
    assert declared == set(OF_ACCOUNTS)
    folder, _, manifest = small
    for name in set(models.names()) - declared - set(JOINED):
        module = models.load(name, where="test")
        if "transactions" not in module.needs(module.Options()):
            continue  # refused by `plan`
        with pytest.raises(BadInput, match=f"'{name}': must be a report of booked accounts"):
            check(planned(folder, manifest, name, 60, tasks=2, start=0 if module.PERIOD != "none" else None))
    by_customer = models.load("balance", where="test")
    assert not models.of_accounts(by_customer, by_customer.Options(grain="customer"))


@pytest.fixture
def small(tmp_path):
    folder = tmp_path / "store"
    folder.mkdir()
    rows = random_rows(1, 6)
    return folder, rows, stored(folder, {"transactions": rows, **others(6)})


def all_files() -> pa.RecordBatch:
    return pa.record_batch({"id": pa.array(range(3))})


def test_rows_that_stop_a_run_are_found_in_every_file(tmp_path, small):
    _, rows, _ = small
    wrong = [{"type": "gift"}, {"points": None}, {"program_id": ""}]
    for row, other in zip(rows, wrong, strict=False):
        row.update(other)
    folder = tmp_path / "other"
    folder.mkdir()
    plan = planned(folder, stored(folder, {"transactions": rows, **others(6)}), "balance", 60, tasks=2)
    (found,) = tasks.problems(plan)(iter([all_files()]))
    said = {row["rule"]: row["ids"] for row in found.to_pylist()}
    assert said["unknown type"] == [rows[0]["transaction_id"]]
    assert said["no points"] == [rows[1]["transaction_id"]]
    assert said["no program_id"] == [rows[2]["transaction_id"]]


def test_a_damaged_file_is_told_and_not_read(small):
    folder, _, manifest = small
    path = folder / "transactions-1.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    plan = planned(folder, manifest, "history", 60, tasks=1)
    with pytest.raises(Permanent, match=r"transactions-1.parquet has sha256"), raised():
        list(tasks.spread(plan)(iter([all_files()])))


def test_an_executor_with_other_code_refuses(small):
    folder, _, manifest = small
    plan = planned(folder, manifest, "history", 60, tasks=1)
    object.__setattr__(plan, "code", "0.1.0+other")
    with pytest.raises(TaskFailed, match="install the same version"):
        list(tasks.report(plan)(iter([])))


def test_errors_come_back_as_what_they_were(small):
    folder, _, manifest = small
    plan = planned(folder, manifest, "lots", 60, tasks=1, programs=("p0", "nobody's"))
    with pytest.raises(BadInput) as found, raised():
        list(tasks.report(plan)(iter([])))
    assert [problem.value for problem in found.value.problems] == ["nobody's"]

    @told
    def broken(_):
        raise LedgerViolation("rows é are wrong")
        yield

    with pytest.raises(LedgerViolation, match=r"^rows é are wrong$"), raised():
        list(broken(iter([])))
    with pytest.raises(KeyError), raised():
        raise KeyError("of a program")
