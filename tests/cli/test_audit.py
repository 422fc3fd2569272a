"""`loyalty audit` and signatures at the command line: who did it, whether it is whole, and its anchors."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from pathlib import Path

import pysequoia
import pytest

from tests.cli.test_cli import DEFINITION, Loyalty, files, home, ledger_file, loyalty

__all__ = ["home", "ledger_file", "loyalty"]
pytestmark = pytest.mark.slow
ASKED = ("export", "run", "balances", "--as-of", "2026-06-01", "--deliver")


@pytest.fixture
def somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "ann")


def test_a_run_is_told_and_a_changed_entry_named(
    loyalty: Loyalty, home: Path, somebody: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOYALTY_AUDIT_ANCHORS", f"file://{home / 'elsewhere'}\n file://{home / 'there'}")
    assert loyalty("audit", "verify").out.startswith("0 entries are whole")
    assert loyalty(*ASKED).code == 0
    told = json.loads(loyalty("audit", "list", "--json").out)[::-1]
    actions = [
        "definition_changed",
        "pinned",
        "snapshot_taken",
        "snapshot_bound",
        "rendered",
        "delivered",
        "settled",
    ]
    assert [entry["action"] for entry in told] == actions
    for entry in told:  # as docs/audit.md says
        stated = entry.pop("sha256")
        written = json.dumps(entry, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        assert hashlib.sha256(written.encode()).hexdigest() == stated
    assert {entry["actor"] for entry in told} == {"ann"}  # also in the processes of the stages
    assert [entry["sequence"] for entry in told] == list(range(1, 8))

    shown = loyalty("audit", "list", "--action", "delivered", "--actor", "ann", "--since", "2026-01-01")
    assert f"│ ann   │ delivered │ {told[5]['subject'][:12]} │" in shown.out
    assert "target=folder" in shown.out
    assert loyalty("audit", "list", "--action", "delivred").code == 2

    anchored = loyalty("audit", "anchor", "--json")
    assert json.loads(anchored.out) == [
        f"file://{home / name}/loyalty-audit-000000000007.json" for name in ("elsewhere", "there")
    ]
    whole = loyalty("audit", "verify")
    head = f"9:{json.loads(loyalty('audit', 'list', '--limit', '1', '--json').out)[0]['sha256']}"
    assert whole.out == f"9 entries are whole and in order, held against 2 anchors, the last {head}\n"
    assert loyalty("audit", "verify", "--against", head).code == 0
    assert loyalty("audit", "verify", "--against", "10" + head[1:]).code == 1

    with sqlite3.connect(home / "state.sqlite") as database:
        database.execute("UPDATE loyalty_audit SET actor = 'bob' WHERE sequence = 6")
    broken = loyalty("audit", "verify")
    assert (broken.code, broken.out) == (1, "")
    assert broken.error == "audit entry: '6': was changed: its content has another hash\n"
    document = json.loads(loyalty("audit", "verify", "--json").out)
    assert (document["entries"], document["anchors"], document["problems"][0]["value"]) == (9, 2, "6")


def test_verify_checks_the_signature_where_a_key_is_given(
    loyalty: Loyalty, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = pysequoia.Tsk.generate("exports@x.org")
    connection = {"conn_type": "generic", "extra": {"private_key": str(key)}}
    monkeypatch.setenv("AIRFLOW_CONN_OUR_KEY", json.dumps(connection))
    (home / "exports" / "balances.yaml").write_text(f"{DEFINITION}sign: our_key\n")
    assert loyalty(*ASKED).code == 0
    public = home / "exports.asc"
    public.write_text(str(key.extract_certificate()))
    [name] = [name for name in files(home / "delivered") if name.endswith(".json")]
    manifest = home / "delivered" / name
    assert loyalty("verify", str(manifest), "--key", str(public)).code == 0
    manifest.with_name(f"{name}.asc").unlink()
    assert loyalty("verify", str(manifest)).code == 0
    unsigned = loyalty("verify", str(manifest), "--key", str(public))
    assert unsigned.code == 1
    assert "must lie beside its manifest" in unsigned.error


def test_files_that_are_copied_out_of_the_store_are_told(
    loyalty: Loyalty, home: Path, somebody: None
) -> None:
    """Also those of a run that was made long ago, of which nothing else is told any more."""
    asked = ASKED[:-1]
    assert loyalty(*asked).code == 0
    assert json.loads(loyalty("audit", "list", "--action", "downloaded", "--json").out) == []
    assert loyalty(*asked, "--out", str(home / "out")).code == 0
    told = json.loads(loyalty("audit", "list", "--action", "downloaded", "--json").out)
    assert {entry["actor"] for entry in told} == {"ann"}
    found = {entry["detail"]["file"]: entry["detail"]["sha256"] for entry in told}
    assert found == {
        name: hashlib.sha256((home / "out" / name).read_bytes()).hexdigest() for name in files(home / "out")
    }
    assert loyalty(*asked, "--out", str(home / "out")).code == 0  # they are there: nothing leaves the store
    assert len(json.loads(loyalty("audit", "list", "--action", "downloaded", "--json").out)) == len(told)
