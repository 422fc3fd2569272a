"""`loyalty export`: the instants that it takes, and two deliveries compared."""

from __future__ import annotations

import gzip
import json
import os
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


EVERYTHING_WRONG = """
id: My Id
name: x
model: history
limit: many
period: previous_month
as_of: occurrence
schedule: {kind: monthly, days: ["3"], time: "25:00"}
sign: our_key
privacy: {salt: pepper, fields: {email: hash}}
fields: [colour]
file: {options: {delimiter: "::"}}
targets:
  - {kind: sftp, options: {timeout_seconds: x}}
  - {kind: folder}
notify: {rules: [{kind: webhook, connection: chat}]}
"""


def test_all_that_is_wrong_is_said_at_once_with_its_place(loyalty: Loyalty, home: Path) -> None:
    """Types, what does not go together, columns, options, connections: each is found by another look."""
    (home / "wrong.yaml").write_text(EVERYTHING_WRONG)
    told = loyalty("export", "validate", str(home / "wrong.yaml"))
    assert told.code == 2
    places = [line.partition("wrong.yaml: ")[2].partition(":")[0] for line in told.error.splitlines()[1:]]
    assert sorted(places) == sorted(
        [
            "limit", "id", "schedule.days[0]", "schedule.time", "as_of", "fields[0].field", "file.options.delimiter",
            "targets[0].options.connection", "targets[0].options.timeout_seconds", "targets[1].options.folder",
            "privacy.salt", "sign", "notify.rules[0].connection",
        ]
    )  # fmt: skip


def test_the_list_shows_what_is_right_and_says_what_is_not(
    loyalty: Loyalty, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = json.loads(loyalty("export", "list", "--json").out)
    folder = Path(os.environ["LOYALTY_EXPORTS"])
    (folder / "a-wrong.yaml").write_text(EVERYTHING_WRONG)
    told = loyalty("export", "list", "--json")
    assert (told.code, json.loads(told.out)) == (2, right)
    assert "a-wrong.yaml: limit: 'many'" in told.error
    monkeypatch.setenv("LOYALTY_EXPORTS", str(home / "none"))
    for asked in ("list", "validate"):
        told = loyalty("export", asked)
        assert (told.code, "LOYALTY_EXPORTS" in told.error) == (2, True)
