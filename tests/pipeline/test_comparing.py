"""What could only show at the second delivery, or never, is refused at once: keys and alerts that nothing has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from include.definitions.model import ExportDefinition
from include.pipeline.checks import check

Define = Callable[..., ExportDefinition]
BALANCE = {"fields": ["holder_id", "tier", {"field": "active", "header": "Points"}]}
ALERT = {"column": "Points", "moved_more_than": 5}


def told(definition: ExportDefinition) -> list[str]:
    return [str(problem) for problem in check(definition, "x.yaml")]


@pytest.mark.parametrize(
    "keys",
    [
        {"compare": {"key": ["holder_id", "tier"]}},
        {"compare": {}},
        {"conditions": {"alerts": [ALERT]}},
        {"fields": None, "layout": "talon_one.customer_balances",
         "conditions": {"alerts": [{"column": "currentBalance", "moved_more_than": 5}]}},
        {"fields": None, "aggregation": [{"field": "tier", "function": "group"}, {"field": "active", "function": "sum"}],
         "compare": {"key": ["tier"]},
         "conditions": {"alerts": [{"column": "sum of active", "moved_more_than": 5}]}},
    ],
)  # fmt: skip
def test_columns_go_by_their_headers(define: Define, keys: dict[str, Any]) -> None:
    assert told(define(**BALANCE | keys)) == []


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"compare": {"key": ["holder_id", "active"]}},
         "x.yaml: compare.key[1]: 'active': is no column of the file; it has holder_id, tier, Points"),
        ({"compare": {}, "fields": ["tier", "active"]},
         ("x.yaml: compare.key: '': the file has no column of ids: name the columns that tell rows apart, of "
          "tier, active")),
        ({"compare": {"key": ["email"]}, "fields": None, "privacy": {"fields": {"email": "drop"}}}, None),
        ({"conditions": {"alerts": [ALERT, {"column": "active", "moved_more_than": 5}]}},
         "x.yaml: conditions.alerts[1].column: 'active': is no column of points or money in the file; there are Points"),
        ({"conditions": {"alerts": [{"column": "tier", "moved_more_than": 5}]}},
         "x.yaml: conditions.alerts[0].column: 'tier': is no column of points or money in the file; there are Points"),
        ({"conditions": {"alerts": [ALERT | {"export": "balances"}]}},
         "x.yaml: conditions.alerts[0].export: 'balances': leave it out: this is no pack"),
    ],
)  # fmt: skip
def test_what_no_file_has_is_refused(define: Define, keys: dict[str, Any], message: str | None) -> None:
    found = told(define(**BALANCE | keys))
    if message is None:
        assert found[0].startswith("x.yaml: compare.key[0]: 'email': is no column of the file; it has ")
    else:
        assert found == [message]


def test_a_column_that_privacy_drops_cannot_split_the_file(define: Define) -> None:
    file = {"split": {"field": "tier"}}
    assert told(define(file=file)) == []
    assert told(define(file=file, privacy={"fields": {"tier": "mask"}})) == []
    [found] = told(define(file=file, privacy={"fields": {"tier": "drop"}}))
    assert found.startswith("x.yaml: file.split.field: 'tier': is no column of the file; it has ")


def test_an_alert_of_a_pack_asks_the_exports_that_it_names(define: Define) -> None:
    exports = [
        {"id": "points", "model": "balance", **BALANCE},
        {"id": "stores", "model": "stores"},
    ]

    def alerts(*some: dict[str, Any]) -> list[str]:
        keys = {"model": None, "file": {}, "exports": exports, "conditions": {"alerts": list(some)}}
        return told(define(**keys))

    assert alerts(ALERT, ALERT | {"export": "points"}) == []
    assert alerts(ALERT | {"export": "stores"}, ALERT | {"export": "shops"}) == [
        "x.yaml: conditions.alerts[0].column: 'Points': is no column of points or money in the file; there are none",
        "x.yaml: conditions.alerts[1].export: 'shops': its exports are points, stores",
    ]
