"""Rule: Spark gives the rows that a run gives, in the same order, and stops where a run stops."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include import sample
from include.errors import BadInput, LedgerViolation, Permanent
from include.pipeline import Context
from include.reports import models
from include.settings import Settings
from include.snapshots import extract
from include.snapshots.local import local
from include.snapshots.source import Source
from include.spark import frame
from include.spark.failures import raised
from include.spark.plan import Plan, Question, plan
from include.spark.write import write
from include.state.audit import Action
from tests.spark.ledgers import others, planned, random_rows, stored
from tests.spark.test_ranges import JOINED, OF_ACCOUNTS, in_one

pytestmark = pytest.mark.slow
AS_OF = datetime(2026, 5, 1, tzinfo=UTC)
ASKED = {
    "balances": Question("balance", AS_OF),
    "history of a year": Question(
        "history", AS_OF, start=datetime(2025, 5, 1, tzinfo=UTC), options={"profile": "all"}
    ),
    "open lots as known before": Question(
        "lots", AS_OF, known_at=AS_OF - timedelta(days=30), options={"open_only": True}
    ),
    "balances of customers": Question("balance", AS_OF, options={"grain": "customer"}),
    "liability of a month": Question("liability", AS_OF, start=datetime(2026, 4, 1, tzinfo=UTC)),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def context(home: Path) -> Context:
    """The sample ledger, one account with an eighth of all rows, in a snapshot that holds what the reports read."""
    url = f"sqlite:///{home / 'ledger.sqlite'}"
    sample.load(url, sample.Plan(customers=300, transactions=6_000, whale=0.125))
    settings = Settings(
        ledger_url=url,
        ledger_mapping=None,
        state_url=f"sqlite:///{home / 'state.sqlite'}",
        store_url=f"file://{home / 'store'}",
        scratch=home / "scratch",
        exports=home / "exports",
        keys=home / "keys",
        settle_delay=timedelta(0),
    )
    found = Context(settings)
    source = Source.from_settings(settings)
    needs: dict[str, dict[str, None]] = {}
    for name, options in (OF_ACCOUNTS | JOINED).items():
        module = models.load(name, where="test")
        for relation, columns in module.needs(module.Options(**options)).items():
            needs.setdefault(relation, {}).update(dict.fromkeys(columns))
    extract.take(
        source, found.store, found.state, needs=needs, not_before=datetime.now(UTC),
        settle_delay=timedelta(0), scratch=settings.scratch,
    )  # fmt: skip
    return found


def of_run(context: Context, asked: Plan) -> pa.Table:
    """What a run makes of the same snapshot."""
    names = list(asked.manifest.relations)
    files = local(context.store, asked.manifest, names, context.settings.scratch)
    first = next(path for paths in files.values() for path in paths)
    return in_one(asked, Path(str(first).removesuffix(_key(asked, first))))


def _key(asked: Plan, path: Path) -> str:
    held = asked.manifest.relations.values()
    return next(file.key for one in held for file in one.files if str(path).endswith(file.key))


@pytest.mark.parametrize("asked", ASKED)
def test_the_rows_are_those_of_a_run(spark: Any, context: Context, asked: str) -> None:
    planned_ = plan(context, ASKED[asked], tasks=3)
    found = frame.rows(spark, planned_)
    wanted = of_run(context, planned_)
    if planned_.is_of_accounts:
        assert found.rdd.getNumPartitions() == 3
    assert wanted.num_rows >= (2 if asked == "liability of a month" else 100)
    assert found.toArrow().cast(wanted.schema).combine_chunks().equals(wanted)


@pytest.mark.parametrize("seed", range(2))
def test_the_rows_of_random_ledgers_are_those_of_a_run(spark: Any, tmp_path: Path, seed: int) -> None:
    folder = tmp_path / f"store-{seed}"
    folder.mkdir()
    (tmp_path / "scratch").mkdir()
    manifest = stored(folder, {"transactions": random_rows(seed, 40), **others(40)})
    every = OF_ACCOUNTS if seed else JOINED
    report = Random(seed).choice(sorted(every))
    start = None if models.load(report, where="test").PERIOD == "none" else 5
    asked = planned(folder, manifest, report, 30, tasks=4, start=start, **every[report])
    wanted = in_one(asked, folder)
    assert frame.rows(spark, asked).toArrow().cast(wanted.schema).combine_chunks().equals(wanted)


def test_one_id_in_two_accounts_stops_everything(spark: Any, tmp_path: Path) -> None:
    """Each half of the doubled row is alone in its range and its file."""
    folder = tmp_path / "store"
    folder.mkdir()
    (tmp_path / "scratch").mkdir()
    rows = random_rows(1, 10)
    other = next(row for row in rows if row["customer_id"] != rows[0]["customer_id"])
    other["transaction_id"] = rows[0]["transaction_id"]
    asked = planned(folder, stored(folder, {"transactions": rows, **others(10)}), "balance", 60, tasks=8)
    with pytest.raises(LedgerViolation, match=r"transaction_id twice: transactions \S+$") as found:
        frame.rows(spark, asked)
    assert rows[0]["transaction_id"] in str(found.value)


def test_what_a_task_meets_is_raised_as_what_it_is(spark: Any, context: Context) -> None:
    asked = plan(context, Question("balance", AS_OF, options={"programs": ["nobody's"]}), tasks=2)
    with pytest.raises(BadInput, match="nobody's"), raised():
        frame.rows(spark, asked).collect()


def test_a_folder_is_written_in_order_and_told(spark: Any, context: Context, tmp_path: Path) -> None:
    asked = plan(context, ASKED["balances"], tasks=3)
    rows = write(context, spark, asked, str(tmp_path / "out"), "parquet", by="ann")
    wanted = of_run(context, asked)
    files = sorted((tmp_path / "out").glob("*.parquet"))
    found = pa.concat_tables([pq.read_table(file) for file in files])
    assert (rows, len(files)) == (wanted.num_rows, 3)
    assert found.cast(wanted.schema).combine_chunks().equals(wanted)
    entry = list(context.state.audit.entries())[-1]
    assert (entry.actor, entry.action) == ("ann", Action.REPORT_READ)
    assert not context.state.snapshots.references(asked.manifest.id)
    with pytest.raises(BadInput, match="out"):
        write(context, spark, asked, str(tmp_path / "out"), "parquet", by="ann")


def test_the_command_line(spark_settings: Path, context: Context, home: Path, tmp_path: Path) -> None:
    environment = os.environ | {
        "LOYALTY_HOME": str(home),
        "LOYALTY_LEDGER_URL": context.settings.ledger_url,
        "LOYALTY_STATE_URL": context.settings.state_url,
        "LOYALTY_STORE": context.settings.store_url,
        "LOYALTY_SETTLE_SECONDS": "0",
    }
    out = tmp_path / "out"
    command = [
        sys.executable,
        "-m",
        "include.cli",
        "spark",
        "lots",
        "--as-of",
        "2026-05-01",
        "--out",
        str(out),
    ]
    more = ["--options", '{"open_only": true}', "--master", "local[1]", "--json"]
    done = subprocess.run([*command, *more], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = sum(pq.read_metadata(file).num_rows for file in out.glob("*.parquet"))
    assert json.loads(done.stdout)["rows"] == rows > 100


def test_a_folder_that_holds_an_erased_person_is_told(
    spark: Any, context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against files that outlive an erasure; the last test, since it takes the snapshot out of use."""
    asked = plan(context, ASKED["balances"], tasks=1)
    rows = frame.rows

    def while_erasing(*arguments: Any) -> Any:
        context.state.snapshots.stale(asked.manifest.id)
        return rows(*arguments)

    monkeypatch.setattr(frame, "rows", while_erasing)
    with pytest.raises(Permanent, match=f"meanwhile: remove {tmp_path / 'out'}"):
        write(context, spark, asked, str(tmp_path / "out"), "parquet", by="ann")
    with pytest.raises(Permanent, match="not fit for use"):
        write(context, spark, asked, str(tmp_path / "other"), "parquet", by="ann")
