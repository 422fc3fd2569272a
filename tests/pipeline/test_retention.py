"""Files whose time is over leave the store; what something still needs stays, and so do records and the chain.

Guards docs/operations.md, Upkeep.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from include import pipeline
from include.definitions.model import ExportDefinition
from include.errors import BadInput, Permanent
from include.formats.manifest import SUFFIX, Manifest
from include.pipeline import Context, resend
from include.pipeline.retention import retire_files
from include.pipeline.upkeep import upkeep
from include.settings import Settings
from include.state.audit import Action
from tests.pipeline.test_steps import AT, whole

pytestmark = pytest.mark.slow

DAY = timedelta(days=1)


def made(context: Context, definition: ExportDefinition, days: int) -> list[str]:
    """Make and deliver a run for each of these days; return their keys, the oldest first."""
    return [whole(context, definition, occurrence=AT + day * DAY)[0] for day in range(days)]


def aged(context: Context, run_key: str, by: timedelta) -> None:
    """Let a run be older, as time does."""
    microseconds = by // timedelta(microseconds=1)
    with context.state.database.write() as connection:
        connection.exec_driver_sql(
            f"UPDATE loyalty_runs SET updated_at = updated_at - {microseconds} WHERE run_key = '{run_key}'"
        )


def data(context: Context, run_key: str) -> list[str]:
    return [e.key for e in context.store.list(f"artefacts/{run_key}") if not e.key.endswith(SUFFIX)]


def test_old_files_go_and_the_newest_delivered_stays(
    context: Context, define: Callable[..., ExportDefinition], inline: None
) -> None:
    keys = made(context, define(), 3)
    for key in keys:
        aged(context, key, 500 * DAY)
    assert retire_files(context) == keys[:2]
    assert [len(data(context, key)) for key in keys] == [0, 0, 1]
    assert retire_files(context) == []
    gone = context.state.runs.get(keys[0])
    assert gone.files_gone_why == "retention"
    assert gone.files[0]["rows"] > 0  # what was delivered is still known
    told = context.state.audit.newest(action=Action.FILES_REMOVED)
    assert [each.subject for each in told] == [keys[1], keys[0]]


def test_records_and_the_chain_stay_and_a_resend_says_what_is_missing(
    context: Context, define: Callable[..., ExportDefinition], inline: None
) -> None:
    first, second, third = made(context, define(), 3)
    for key in (first, second):
        aged(context, key, 500 * DAY)
    retire_files(context)
    previous = None
    for link in context.state.chain.list("balances"):
        [manifest] = context.store.list(f"artefacts/{link.run_key}/{link.manifest_sha256}")
        stated = Manifest.model_validate_json(context.store.read(manifest.key))
        assert stated.sha256() == link.manifest_sha256
        assert stated.previous_manifest_sha256 == previous
        previous = link.manifest_sha256
    assert pipeline.deliver(context, first, 0)["files"]  # delivered before: the receipt, and nothing is sent
    with pytest.raises(Permanent, match=r"were removed on .*: their time was over.*make a restatement"):
        resend.find_run(context, context.state.runs.get(first).definition_id, first)
    assert (
        pipeline.render(context, first) == context.state.runs.get(first).files
    )  # it is done: nothing is made
    assert pipeline.render(context, third)


def test_a_comparison_with_files_that_are_gone_says_so(
    context: Context, define: Callable[..., ExportDefinition], inline: None
) -> None:
    """The newest one stays by itself; somebody may have removed it all the same."""
    from include.pipeline.removal import remove_files

    definition = define(
        compare={}, conditions={"alerts": [{"column": "points_balance", "moved_more_than": 0}]}
    )
    [first] = made(context, definition, 1)
    remove_files(context, first, "retention")
    key, _ = whole(context, definition, occurrence=AT + 30 * DAY)
    told = context.state.runs.get(key).files[0]["told"]
    assert any("not compared, since the files of the last delivery were removed on" in each for each in told)
    assert any("points_balance moved" in each for each in told)  # its manifest is still there


@pytest.mark.parametrize(
    ("span", "age", "goes"),
    [
        ("10 days", 11, True),
        ("10 days", 9, False),
        ("2 years", 500, False),
        (None, 399, False),
        (None, 401, True),
    ],
)
def test_how_long_says_the_definition_else_the_installation(
    context: Context,
    define: Callable[..., ExportDefinition],
    inline: None,
    span: str | None,
    age: int,
    goes: bool,
) -> None:
    keys = made(context, define(**({"retention": {"files": span}} if span else {})), 2)
    aged(context, keys[0], age * DAY)
    assert retire_files(context) == (keys[:1] if goes else [])


def test_the_definition_of_today_counts(
    context: Context, define: Callable[..., ExportDefinition], inline: None
) -> None:
    import yaml

    keys = made(context, define(), 2)
    aged(context, keys[0], 500 * DAY)
    context.settings.exports.mkdir(parents=True)
    document = define(retention={"files": "10 years"}).document()
    (context.settings.exports / "balances.yaml").write_text(yaml.safe_dump(document))
    assert retire_files(context) == []


@pytest.mark.parametrize("state", ["claimed", "ready", "sending", "uncertain", "conflict"])
def test_an_open_delivery_keeps_its_files(
    context: Context, define: Callable[..., ExportDefinition], inline: None, state: str
) -> None:
    keys = made(context, define(), 2)
    aged(context, keys[0], 500 * DAY)
    with context.state.database.write() as connection:
        connection.exec_driver_sql(
            f"UPDATE loyalty_deliveries SET state = '{state}' WHERE run_key = '{keys[0]}'"
        )
    assert retire_files(context) == []


def test_a_live_run_and_a_download_keep_their_files(
    context: Context, define: Callable[..., ExportDefinition], inline: None
) -> None:
    first, second, _ = made(context, define(), 3)
    context.state.runs.progress(first, "render", 1)
    for key in (first, second):
        aged(context, key, 500 * DAY)
    context.state.links.make(run_key=second, file="balances.csv.gz", recipient="ann@example.com")
    assert retire_files(context) == []


def test_upkeep_does_it(
    ledger_url: str,
    settings_for: Callable[..., Settings],
    define: Callable[..., ExportDefinition],
    inline: None,
) -> None:
    context = Context(replace(settings_for(ledger_url), keep_files=10 * DAY))
    keys = made(context, define(), 2)
    aged(context, keys[0], 11 * DAY)
    assert upkeep(context)["removed_files"] == keys[:1]


@pytest.mark.parametrize("days", ["-1", "forever", "36526"])
def test_the_setting_is_checked(days: str, tmp_path: Any) -> None:
    with pytest.raises(BadInput, match="LOYALTY_FILE_DAYS"):
        Settings.from_environment({"LOYALTY_HOME": str(tmp_path), "LOYALTY_FILE_DAYS": days})
    settings = Settings.from_environment({"LOYALTY_HOME": str(tmp_path), "LOYALTY_FILE_DAYS": "90"})
    assert settings.keep_files == 90 * DAY
