"""Who is new or returning in a period is not asked of rows that the period itself cuts by the day of joining."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from include import pipeline
from include.definitions.model import ExportDefinition
from include.errors import BadInput
from include.pipeline import Context
from include.pipeline.answers.report import Question, run_of
from include.pipeline.checks import check
from tests.pipeline.test_steps import AT

Define = Callable[..., ExportDefinition]
CUT = "with a period customers has only who joined in it, so all are new and nobody is returning: leave out the period, "
CUT += "or take the model balance, which has everybody (grain: customer)"
PEOPLE = {"model": "customers", "fields": ["loyalty_points", "registered_at"]}
START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)


def told(definition: ExportDefinition) -> list[str]:
    return [str(problem) for problem in check(definition, "x")]


@pytest.mark.parametrize("name", ["new", "returning"])
def test_it_is_refused_wherever_it_stands(define: Define, name: str) -> None:
    deep = {"any": [{"field": "loyalty_points", "more_than": 5}, {"all": [{"segment": name}]}]}
    month = {**PEOPLE, "period": "previous_month"}
    assert told(define(**month, filters={"segment": name})) == [f"x: filters.segment: '{name}': {CUT}"]
    assert told(define(**month, filters=deep)) == [f"x: filters.any[1].all[0].segment: '{name}': {CUT}"]
    parts = [{"id": "who", **PEOPLE, "filters": deep}, {"id": "owed", "model": "liability"}]
    pack = {"model": None, "file": {}, "owner": "o", "period": "previous_month", "exports": parts}
    assert told(define(**pack)) == [f"x: exports[0].filters.any[1].all[0].segment: '{name}': {CUT}"]


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"period": "all_time"},
        {"period": "previous_month", "filters": {"segment": {"new": 7}}},
        {"period": "previous_month", "filters": {"segment": "never_redeemed"}},
        {"model": None, "file": {}, "owner": "o", "period": "previous_month", "exports": [
            {"id": "who", "model": "balance", "fields": ["tier"], "filters": {"segment": "returning"}}]},
    ],
    ids=str,
)  # fmt: skip
def test_what_can_be_asked_is_right(define: Define, keys: dict[str, Any]) -> None:
    of_one = {} if "exports" in keys else {**PEOPLE, "filters": {"segment": "returning"}}
    assert told(define(**of_one | keys)) == []


def test_a_period_given_by_hand_is_one_too(context: Context, define: Define) -> None:
    definition = define(**PEOPLE, filters={"segment": "returning"})
    pipeline.pin(context, definition, occurrence=AT)
    with pytest.raises(BadInput, match=r"^filters.segment: 'returning': with a period customers"):
        pipeline.pin(context, definition, occurrence=AT, start=START, end=END)


def test_an_answer_about_a_period_is_refused_alike(define: Define) -> None:
    definition = define(**PEOPLE, filters={"segment": "new"}, period="all_time")
    read: Any = SimpleNamespace(read_at=AT, id="s")
    assert run_of(Question(definition, as_of=END), read).end == END
    with pytest.raises(BadInput, match="with a period customers"):
        run_of(Question(definition, start=START, end=END), read)
