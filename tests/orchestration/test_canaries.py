"""Rule: a run in Airflow leaves its secrets in no log, XCom, row of Airflow's or our database, file or error."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from include import sample
from include.sample.plan import Plan
from tests.airflow_environment import HOME
from tests.servers.parrot import Parrot, parrot
from tests.watch import Watch, canary

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
DEFINITION = """
id: canaries
name: Canaries
model: balance
as_of: end_of_previous_day
timezone: Europe/Paris
file: {compression: none, encryption: {kind: zip_aes, options: {password_from: canary_zip}}}
privacy: {fields: {customer_id: pseudonym, holder_id: pseudonym, email: hash}, salt: canary_salt, pseudonym_key: canary_key}
schedule: {kind: daily, time: "06:00"}
targets:
  - {kind: folder, options: {folder: delivered}}
  - {kind: webhook, options: {connection: canary_hook}}
"""


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def quoting() -> Iterator[Parrot]:
    with parrot(canary("token")) as running:
        yield running


@pytest.fixture
def stored_dag(tmp_path, monkeypatch, airflow_database, quoting, watch):
    exports = tmp_path / "exports"
    exports.mkdir()
    (exports / "canaries.yaml").write_text(DEFINITION)
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    sample.load(url, Plan(customers=60, transactions=1500))
    monkeypatch.setenv("LOYALTY_HOME", str(tmp_path))
    monkeypatch.setenv("LOYALTY_EXPORTS", str(exports))
    monkeypatch.setenv("LOYALTY_LEDGER_URL", url)
    monkeypatch.setenv("LOYALTY_SETTLE_SECONDS", "0")
    for name in ("zip", "salt", "key"):
        held = {"conn_type": "generic", "password": watch.secret(name)}
        monkeypatch.setenv(f"AIRFLOW_CONN_CANARY_{name.upper()}", json.dumps(held))
    hook = {
        "conn_type": "http", "host": "http://127.0.0.1", "port": quoting.port,
        "login": "us", "password": watch.secret("hook"),
        "extra": {"allow_private": True, "allow_plain": True, "headers": {"X-Api-Key": watch.secret("header")}},
    }  # fmt: skip
    monkeypatch.setenv("AIRFLOW_CONN_CANARY_HOOK", json.dumps(hook))
    return airflow_database().dags["canaries"]


def test_a_run_with_a_delivery_that_fails_shows_no_secret(
    stored_dag, tmp_path, quoting, watch, capfd, caplog
):
    run = stored_dag.test(logical_date=datetime(2026, 6, 20, 4, tzinfo=UTC))
    assert run.state == "failed"
    assert len(list((tmp_path / "delivered").iterdir())) == 2
    assert canary("header") in "".join(quoting.heard)
    out, err = capfd.readouterr()
    told = out + err + caplog.text
    assert "answers 400" in told  # the failure was said
    looked = {
        path: path.read_bytes().decode("latin-1") for folder in (tmp_path, HOME) for path in files(folder)
    }
    assert any(path.suffix in {".db", ".sqlite"} and HOME in path.parents for path in looked)
    looked[Path("the log")] = told
    assert [(path, watch.seen_in(text)) for path, text in looked.items() if watch.seen_in(text)] == []


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
