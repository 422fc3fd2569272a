"""A ledger without tiers, redemptions and rates has dashboards too: the charts that it has figures for."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from include.errors import BadInput
from include.formats.manifest import Manifest
from include.pipeline import Context
from include.pipeline.dashboards import Asked, board, newest
from include.pipeline.dashboards.frames import frame
from include.settings import Settings
from tests.pipeline.dashboards import made

LEFT_OUT = {"tiers", "tier-moves", "rewards", "liability"}
NOT_DRAWN = {"tiers", "tier-moves", "rewards", "liability", "outstanding"}
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("inline")]


@pytest.fixture
def bare(sqlite_ledger: str, settings_for: Callable[..., Settings]) -> Context:
    """The least that a ledger can have: 10 points earned on 1 June 2026, of which 4 are redeemed the day after."""
    engine = sa.create_engine(sqlite_ledger)
    first, second = 1780315200000000, 1780401600000000
    with engine.begin() as connection:
        for statement in (
            "CREATE TABLE programs (program_id TEXT, name TEXT, currency TEXT, time_zone TEXT)",
            "CREATE TABLE customers (customer_id TEXT)",
            "CREATE TABLE transactions (transaction_id TEXT, program_id TEXT, customer_id TEXT, type TEXT, points INTEGER, created_at INTEGER)",
            "INSERT INTO programs VALUES ('p', 'P', 'EUR', 'Europe/Paris')",
            "INSERT INTO customers VALUES ('c')",
            f"INSERT INTO transactions VALUES ('t1', 'p', 'c', 'earned', 1000, {first}), ('t2', 'p', 'c', 'redeemed', -400, {second})",
        ):
            connection.exec_driver_sql(statement)
    engine.dispose()
    return Context(settings_for(sqlite_ledger))


def test_the_other_charts_are_drawn_and_the_manifest_says_what_is_left_out(bare: Context):
    run = made.run(bare, made.shipped())
    figures = newest(bare)
    assert figures is not None
    assert {each["export"] for each in run.files if each.get("export")}.isdisjoint(LEFT_OUT)
    shown = board(Asked(figures, "p", "P", frame(figures, "last_30_days")))
    assert set(shown.missing) == NOT_DRAWN
    bridge = next(chart for chart in shown.charts if chart.name == "bridge")
    assert [str(cell) for _, cell in bridge.table.rows] == ["0", "10", "-4", "6"]
    assert {tile.title for tile in shown.tiles}.isdisjoint({"Liability"})
    [key] = [each.key for each in bare.store.list("") if each.key.endswith(".manifest.json")]
    told = [
        note for note in Manifest.model_validate_json(bare.store.read(key)).origin.notes if "left out" in note
    ]
    assert {note.rpartition(": ")[2] for note in told} == LEFT_OUT
    assert "left out, since the ledger does not have tier_changes: tiers" in told


def test_an_export_that_does_not_say_so_still_fails(bare: Context):
    document = made.shipped().document()["exports"]
    with pytest.raises(BadInput, match="tier_changes"):
        made.run(bare, made.shipped(exports=[one | {"if_missing": "fail"} for one in document]))


def test_a_pack_of_nothing_else_fails(bare: Context):
    document = [one for one in made.shipped().document()["exports"] if one["id"] in LEFT_OUT]
    with pytest.raises(BadInput, match="the ledger does not have it"):
        made.run(bare, made.shipped(exports=document))
