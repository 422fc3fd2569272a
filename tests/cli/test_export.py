"""`loyalty export`: the instants that it takes, and two deliveries compared."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tests.cli.test_cli import Loyalty, home, ledger_file, loyalty

__all__ = ["home", "ledger_file", "loyalty"]  # fixtures
pytestmark = pytest.mark.slow


def test_a_date_alone_begins_in_the_time_zone_of_the_export(loyalty: Loyalty, home: Path) -> None:
    done = loyalty("export", "run", "balances", "--as-of", "2026-06-01", "--out", str(home), "--json")
    assert done.code == 0, done.error
    assert json.loads(done.out)["run"]["as_of"] == "2026-05-31T22:00:00Z"  # midnight of Paris in summer
    assert [path.name for path in home.glob("*.csv.gz")] == ["balances_2026-06-01.csv.gz"]


def test_two_deliveries_are_compared(loyalty: Loyalty, home: Path) -> None:
    for day in ("2026-03-01", "2026-03-31"):
        done = loyalty("export", "run", "balances", "--as-of", f"{day}T00:00:00Z", "--out", str(home / day))
        assert done.code == 0, done.error
    manifests = [str(next((home / day).glob("*.manifest.json"))) for day in ("2026-03-01", "2026-03-31")]
    asked = ["export", "diff", *manifests, "--key", "holder_id", "--key", "subledger_id"]
    told = loyalty(*asked, "--out", str(home))
    assert told.code == 0, told.error
    assert "balances: " in told.out
    assert " changed (" in told.out
    [found] = json.loads(loyalty(*asked, "--json").out)
    rows = gzip.decompress((home / "balances_changes.csv.gz").read_bytes()).decode().splitlines()
    assert len(rows) - 1 == found["added"] + found["removed"] + 2 * found["changed"] > 0
    assert json.loads(loyalty("export", "diff", *manifests, "--json").out)[0]["changed"] == found["changed"]
    coarse = loyalty("export", "diff", *manifests, "--key", "subledger_id")
    assert (coarse.code, "key: 'subledger_id': must tell rows apart, but" in coarse.error) == (2, True)
    wrong = loyalty("export", "diff", manifests[0], manifests[1].replace("manifest", "manifst"))
    assert wrong.code == 2
    assert "cannot be read" in wrong.error
