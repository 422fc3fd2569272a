"""The timetable inside the real Airflow: serialised, asked for next runs, and walked as a backfill does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from airflow.exceptions import AirflowTimetableInvalid
from airflow.models.backfill import _get_info_list
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization
from airflow.timetables.base import DataInterval, TimeRestriction
from airflow.utils.types import DagRunType
from pendulum import instance

from include.orchestration.timetable import DUE_GRACE, LoyaltyTimetable
from include.settings import ROOT

LAST = {"kind": "monthly", "days": ["last"], "time": "06:00"}
EVERY_ARGUMENT = [
    {"kind": "once", "date": "2026-10-08", "time": "06:00:30"},
    {"kind": "daily", "time": "06:00", "start": "2026-01-01", "end": "2027-01-01"},
    {"kind": "weekly", "time": "09:00", "days": ["monday", "thursday"], "start": "2026-01-01"},
    {"kind": "monthly", "time": "06:00", "days": [1, 15, "last"], "months": [1, 12], "end": "2030-01-01"},
    {"kind": "business_day", "time": "06:00", "day": -3, "holidays": ["2026-12-25", "2027-01-01"]},
    {"kind": "quarter_end", "time": "23:30"},
]
ZONES = ["Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "America/Santiago", "UTC"]


def at(text: str):
    return instance(datetime.fromisoformat(text).replace(tzinfo=UTC), tz="UTC")


def serialized(schedule: dict, zone: str = "Europe/Paris", **keys):
    """Return the DAG as the scheduler sees it: through JSON and back."""
    with DAG("export", schedule=LoyaltyTimetable(schedule, zone), start_date=at("2020-01-01"), **keys) as dag:
        pass
    return DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag))))


def following(
    table: LoyaltyTimetable, last: str | None, earliest: str | None, latest: str | None, *, catchup: bool
):
    info = table.next_dagrun_info(
        last_automated_data_interval=DataInterval.exact(at(last)) if last else None,
        restriction=TimeRestriction(earliest and at(earliest), latest and at(latest), catchup),
    )
    return info and f"{info.logical_date:%Y-%m-%dT%H:%M}"


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("schedule", EVERY_ARGUMENT, ids=lambda schedule: schedule["kind"])
def test_every_argument_survives_serialisation(schedule, zone):
    table = LoyaltyTimetable(schedule, zone)
    back = serialized(schedule, zone).timetable
    assert type(back) is LoyaltyTimetable
    assert back == table
    assert back.summary == table.summary == back.description
    document = table.serialize()["schedule"]
    assert {key: document[key] for key in schedule} == schedule
    assert table.serialize()["timezone"] == zone
    assert LoyaltyTimetable(schedule, "Asia/Tokyo") != table


def test_summary():
    assert serialized(LAST).timetable.summary == "Monthly on the Last day 06:00 Europe/Paris"


def test_a_run_stands_for_its_instant():
    info = LoyaltyTimetable(LAST, "Europe/Paris").next_dagrun_info(
        last_automated_data_interval=None, restriction=TimeRestriction(at("2026-01-01"), None, catchup=True)
    )
    assert info.run_after == info.data_interval.start == info.data_interval.end == at("2026-01-31T05:00")
    run_id = DagRunType.SCHEDULED.generate_run_id(suffix=info.run_after.isoformat())
    assert run_id == "scheduled__2026-01-31T05:00:00+00:00"


def test_with_catchup_every_occurrence_follows():
    table = LoyaltyTimetable(LAST, "Europe/Paris")
    assert following(table, None, "2026-01-31T05:00", None, catchup=True) == "2026-01-31T05:00", "included"
    assert following(table, "2026-01-31T05:00", "2020-01-01", None, catchup=True) == "2026-02-28T05:00"
    assert following(table, "2026-02-28T05:00", None, None, catchup=True) == "2026-03-31T04:00", "summer time"
    assert following(table, None, None, None, catchup=True) is None, "nothing says where to begin"


def test_latest_ends_and_is_included():
    table = LoyaltyTimetable(LAST, "Europe/Paris")
    assert following(table, "2026-01-31T05:00", None, "2026-02-28T05:00", catchup=True) == "2026-02-28T05:00"
    assert following(table, "2026-01-31T05:00", None, "2026-02-28T04:59", catchup=True) is None
    assert following(table, None, None, "2020-01-01", catchup=False) is None


def test_the_schedules_own_end_ends():
    table = LoyaltyTimetable({"kind": "daily", "time": "06:00", "end": "2026-01-02"}, "UTC")
    assert following(table, "2025-12-31T06:00", None, None, catchup=True) == "2026-01-01T06:00"
    assert following(table, "2026-01-01T06:00", None, None, catchup=True) is None


def every_day_at(moment: datetime) -> LoyaltyTimetable:
    return LoyaltyTimetable({"kind": "daily", "time": f"{moment:%H:%M:%S}"}, "UTC")


def test_without_catchup_only_the_latest_missed_occurrence_runs():
    now = datetime.now(UTC).replace(microsecond=0)
    due = now - timedelta(hours=3)
    last = f"{due - timedelta(days=5):%Y-%m-%dT%H:%M:%S}"
    assert following(every_day_at(due), last, "2020-01-01", None, catchup=False) == f"{due:%Y-%m-%dT%H:%M}"
    assert (
        following(every_day_at(due), last, "2020-01-01", None, catchup=True)
        == f"{due - timedelta(days=4):%Y-%m-%dT%H:%M}"
    )


def test_without_catchup_what_has_run_does_not_run_again():
    now = datetime.now(UTC).replace(microsecond=0)
    due = now - timedelta(hours=3)
    tomorrow = due + timedelta(days=1)
    assert (
        following(every_day_at(due), f"{due:%Y-%m-%dT%H:%M:%S}", None, None, catchup=False)
        == f"{tomorrow:%Y-%m-%dT%H:%M}"
    )


def test_a_new_export_begins_with_its_next_occurrence():
    due = datetime.now(UTC).replace(microsecond=0) - DUE_GRACE - timedelta(minutes=5)
    expected = due + timedelta(days=1)
    assert (
        following(every_day_at(due), None, "2020-01-01", None, catchup=False) == f"{expected:%Y-%m-%dT%H:%M}"
    )


def test_reading_the_dag_again_at_the_due_moment_loses_nothing():
    due = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=30)
    assert following(every_day_at(due), None, "2020-01-01", None, catchup=False) == f"{due:%Y-%m-%dT%H:%M}"


@pytest.mark.parametrize("catchup", [True, False])
def test_a_one_off_runs_once_and_late_rather_than_never(catchup):
    table = LoyaltyTimetable({"kind": "once", "date": "2026-01-31", "time": "06:00"}, "UTC")
    assert following(table, None, "2020-01-01", None, catchup=catchup) == "2026-01-31T06:00"
    assert following(table, None, None, None, catchup=catchup) == "2026-01-31T06:00"
    assert following(table, "2026-01-31T06:00", "2020-01-01", None, catchup=catchup) is None
    moved = LoyaltyTimetable({"kind": "once", "date": "2026-02-15", "time": "06:00"}, "UTC")
    assert following(moved, "2026-01-31T06:00", "2020-01-01", None, catchup=catchup) == "2026-02-15T06:00"


def test_a_manual_run_stands_for_the_moment_it_was_asked_for():
    moment = at("2026-03-29T01:30")
    assert LoyaltyTimetable(LAST, "Europe/Paris").infer_manual_data_interval(run_after=moment) == (
        moment,
        moment,
    )


def test_a_schedule_that_is_over_before_it_began_is_refused():
    table = LoyaltyTimetable(
        {"kind": "monthly", "days": ["last"], "time": "06:00", "end": "1970-01-02"}, "UTC"
    )
    with pytest.raises(AirflowTimetableInvalid, match="never fires: Monthly on the Last day"):
        table.validate()
    LoyaltyTimetable(LAST, "UTC").validate()


def backfill(schedule: dict, zone: str, first: str, last: str, *, reverse: bool = False) -> list[str]:
    infos = _get_info_list(
        from_date=at(first), to_date=at(last), reverse=reverse, dag=serialized(schedule, zone)
    )
    return [f"{info.logical_date:%Y-%m-%dT%H:%M}" for info in infos]


def test_a_backfill_covers_each_occurrence_of_a_year_once():
    found = backfill(
        {"kind": "weekly", "days": ["monday"], "time": "09:00"}, "Europe/Paris", "2024-01-01", "2024-12-31"
    )
    assert len(found) == 53
    steps = {(datetime.fromisoformat(two) - datetime.fromisoformat(one)) for one, two in pairwise(found)}
    assert steps == {timedelta(days=7), timedelta(days=7, hours=-1), timedelta(days=7, hours=1)}


def test_a_backfill_of_month_ends_includes_both_ends():
    assert backfill(LAST, "Europe/Paris", "2024-01-31T05:00", "2024-04-30T04:00") == [
        "2024-01-31T05:00", "2024-02-29T05:00", "2024-03-31T04:00", "2024-04-30T04:00",
    ]  # fmt: skip
    assert backfill(LAST, "Europe/Paris", "2024-01-31T05:01", "2024-04-30T03:59", reverse=True) == [
        "2024-03-31T04:00", "2024-02-29T05:00",
    ]  # fmt: skip


def test_a_backfill_over_the_day_that_apia_never_had():
    found = backfill({"kind": "daily", "time": "00:00"}, "Pacific/Apia", "2011-12-28", "2012-01-02")
    assert found == [
        "2011-12-28T10:00",
        "2011-12-29T10:00",
        "2011-12-30T10:00",
        "2011-12-31T10:00",
        "2012-01-01T10:00",
    ]


def test_a_one_off_can_be_backfilled():
    assert backfill(
        {"kind": "once", "date": "2024-05-01", "time": "06:00"}, "UTC", "2024-01-01", "2024-12-31"
    ) == ["2024-05-01T06:00"]


CREATE = """
import json, sys
from datetime import datetime, UTC
from airflow.utils.db import initdb
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.sdk import DAG
initdb()
DagBundlesManager().sync_bundles_to_db()
from airflow.models.backfill import _create_backfill, ReprocessBehavior
from airflow.models.dagrun import DagRun
from airflow.serialization.definitions.dag import SerializedDAG
from airflow.serialization.serialized_objects import DagSerialization, LazyDeserializedDAG
from airflow.models.serialized_dag import SerializedDagModel
from airflow.utils.session import create_session
from sqlalchemy import select
from airflow.providers.standard.operators.empty import EmptyOperator
from include.orchestration.timetable import LoyaltyTimetable
with DAG("export", schedule=LoyaltyTimetable(json.loads(sys.argv[1]), sys.argv[2]),
         start_date=datetime(2020, 1, 1, tzinfo=UTC), catchup=False) as dag:
    EmptyOperator(task_id="pin")
lazy = LazyDeserializedDAG.from_dag(dag)
SerializedDAG.bulk_write_to_db("dags-folder", None, [lazy])
SerializedDagModel.write_dag(lazy, bundle_name="dags-folder")
_create_backfill(dag_id="export", from_date=datetime(2024, 1, 1, tzinfo=UTC), to_date=datetime(2024, 4, 30, tzinfo=UTC),
    max_active_runs=2, reverse=False, dag_run_conf=None, triggering_user_name=None, reprocess_behavior=ReprocessBehavior.NONE)
with create_session() as session:
    runs = session.scalars(select(DagRun).order_by(DagRun.logical_date)).all()
    print("RUNS " + json.dumps([[run.run_id, run.logical_date.isoformat(), run.data_interval_end.isoformat()] for run in runs]))
"""


@pytest.mark.slow
def test_airflow_creates_the_runs_of_a_backfill(tmp_path):
    """Through Airflow's own code and database: one run for each month end, none twice; `to_date` means 00:00 UTC."""
    environment = os.environ | {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/airflow.db",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PYTHONPATH": str(ROOT),
    }
    (tmp_path / "dags").mkdir()
    script = tmp_path / "create.py"
    script.write_text(CREATE)
    command = [sys.executable, str(script), json.dumps(LAST), "Europe/Paris"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    [line] = [line for line in done.stdout.splitlines() if line.startswith("RUNS ")]
    expected = ["2024-01-31T05:00:00+00:00", "2024-02-29T05:00:00+00:00", "2024-03-31T04:00:00+00:00"]
    assert json.loads(line[5:]) == [[f"backfill__{text}", text, text] for text in expected]


@pytest.mark.slow
def test_parsing_imports_nothing_heavy():
    code = (
        "import sys\n"
        "import include.definitions.load, include.definitions.occasion\n"
        "print(*{name.split('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & {
        "pandas",
        "numpy",
        "pyarrow",
        "duckdb",
        "polars",
        "numba",
        "sqlalchemy",
        "airflow",
        "pendulum",
        "obstore",
    }
