"""The digest's totals mean something: what moved, and balances of one instant; never running or daily balances added."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from include.definitions.model import ExportDefinition
from include.ledger.fields import FieldType
from include.pipeline import Context
from include.pipeline.digest import _totals
from include.reports import models
from include.reports.adding import ADDING
from tests.pipeline.test_steps import AT, whole

Define = Callable[..., ExportDefinition]
MONTH = {"period": "previous_month"}


@pytest.fixture
def told(context: Context, define: Define, inline: None) -> Callable[..., tuple[str, dict[str, Decimal]]]:
    """Make an export; return what the digest says of its totals, and the sums of its manifest's files."""

    def make(**keys: Any) -> tuple[str, dict[str, Decimal]]:
        run = context.state.runs.get(whole(context, define(**keys), occurrence=AT)[0])
        sums: dict[str, Decimal] = {}
        for each in run.files:
            for name, total in each.get("totals", {}).items():
                sums[name] = sums.get(name, Decimal(0)) + Decimal(total)
        return _totals(run), sums

    return make


def said(sums: dict[str, Decimal], *names: str) -> str:
    return "; ".join(f"{name} {sums[name]:,}" for name in names)


@pytest.mark.slow
def test_running_balances_are_left_out(told: Callable[..., Any]) -> None:
    text, sums = told(model="history", **MONTH)
    assert set(sums) == {"points_change", "balance_before", "balance_after"}
    assert text == said(sums, "points_change")


@pytest.mark.slow
def test_balances_of_an_instant_are_told_also_of_several_files(told: Callable[..., Any]) -> None:
    fields = [
        "tier",
        {"field": "points_balance", "header": "Points"},
        {"field": "active", "header": "points_balance"},
    ]
    text, sums = told(model="balance", fields=fields, file={"split": {"rows": 100}})
    assert text == said(sums, "Points", "points_balance")


@pytest.mark.slow
def test_daily_balances_and_other_currencies_are_not_added(told: Callable[..., Any]) -> None:
    parts = [
        {"id": "days", "model": "rollforward_by_day"},
        {"id": "standing", "model": "points_total"},
        {"id": "owed", "model": "liability", "options": {"method": "cost"}},
        {
            "id": "plain",
            "model": "liability",
            "options": {"method": "cost"},
            "fields": ["program_id", "revenue"],
        },
    ]
    for bundle in ("none", "zip"):
        text, _ = told(
            model=None, owner="o", file={}, exports=parts, bundle=bundle, id=f"pack-{bundle}", **MONTH
        )
        names = [each.rpartition(" ")[0] for each in text.split("; ")]
        assert {"days: earned", "days: expired", "owed: closing"} <= set(names)
        assert {name for name in names if "(" in name} >= {
            "owed: liability_closing (EUR)",
            "owed: liability_closing (USD)",
        }
        assert not {"days: opening", "days: closing", "owed: liability_closing", "plain: revenue"} & set(
            names
        )
        assert not any(name.startswith("standing") for name in names)


@pytest.mark.slow
def test_sums_of_groups_are_told_and_averages_are_not(told: Callable[..., Any]) -> None:
    groups = [
        {"field": "tier", "function": "group"},
        {"field": "points_balance", "function": "sum", "header": "Points"},
        {"field": "points_balance", "function": "average"},
    ]
    text, sums = told(model="balance", aggregation=groups)
    assert text == said(sums, "Points")


@pytest.mark.parametrize("model", ADDING)
def test_what_adds_up_is_a_figure_of_the_model(model: str) -> None:
    module = models.load(model, where="test")
    types = {column.name: column.type for column in module.columns(module.Options())}
    assert {types[name] for name in ADDING[model]} <= {FieldType.POINTS, FieldType.MONEY}
