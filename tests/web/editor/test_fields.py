"""What the picker and the builder are told of columns: of every model, with words for every operator and segment."""

from __future__ import annotations

import json

import pytest

from include.definitions.operators import OPERATORS
from include.definitions.segments import SEGMENTS
from include.layouts.layout import layouts
from include.ledger.fields import FieldType
from include.reports import models
from include.web.editor import fields, filters
from include.web.editor.fields import (
    OPERATOR_WORDS,
    SEGMENT_WORDS,
    TYPE_WORDS,
    catalogue,
    of_model,
    to_choose,
)


@pytest.mark.parametrize("model", models.names())
def test_every_column_of_a_model_is_described(model):
    found = of_model({"model": model})
    module = models.load(model, where="test")
    assert [each.name for each in found] == [x.name for x in module.columns(module.Options())]
    assert all(each.meaning and each.words and "`" not in each.meaning for each in found)
    assert json.loads(json.dumps(catalogue({"model": model})))["fields"]


@pytest.mark.parametrize("layout", layouts())
def test_every_column_of_a_layout_is_described(layout):
    found = to_choose({"model": layouts()[layout].model, "layout": layout})
    assert [each.name for each in found] == [column.name for column in layouts()[layout].columns]
    assert all(each.meaning for each in found)


def test_everything_has_words():
    assert set(OPERATOR_WORDS) == set(OPERATORS)
    assert len(OPERATORS) == 25
    assert set(SEGMENT_WORDS) == set(SEGMENTS)
    assert set(TYPE_WORDS) == set(FieldType)
    assert len({one for one, _ in OPERATOR_WORDS.values()}) == len(OPERATORS)


def test_personal_columns_are_marked_and_enums_have_their_values():
    found = {each.name: each for each in of_model({"model": "customers"})}
    assert found["email"].pii
    assert not found["customer_id"].pii
    assert "earned" in {each.name: each for each in of_model({"model": "transactions"})}["type"].values


def test_options_decide_which_columns_there_are():
    plain = {each.name for each in of_model({"model": "liability"})}
    by_month = {each.name for each in of_model({"model": "liability", "options": {"by": ["issue_month"]}})}
    assert "issue_month" in by_month - plain


@pytest.mark.parametrize(
    "document",
    [{}, {"model": None}, {"model": "no"}, {"model": ["x"]}, {"model": "liability", "options": {"by": 7}},
     {"model": "balance", "layout": "no.such", "options": []}],
)  # fmt: skip
def test_what_is_not_right_yet_has_as_many_columns_as_can_be_known(document):
    assert isinstance(to_choose(document), tuple)
    assert catalogue(document)["operators"]


def test_only_segments_that_are_possible_are_offered():
    assert {each["name"] for each in catalogue({"model": "programs"})["segments"]} == set()
    assert "active" in {each["name"] for each in catalogue({"model": "customers"})["segments"]}
    assert fields.SEGMENT_WORDS["active"]


PROBLEMS = {
    "nothing": (None, []),
    "right": ([{"field": "points", "more_than": 1}], []),
    "a field that is not there": ([{"field": "nope", "is": 1}], ["all[0].field"]),
    "an operator of another type": (
        [{"any": [{"field": "points", "contains": "x"}]}],
        ["all[0].any[0].contains"],
    ),
    "a wrong value": ({"field": "points", "more_than": "x"}, ["more_than"]),
    "one of several values": ({"all": [{"field": "points", "in": [1, "x"]}]}, ["all[0].in[1]"]),
    "no operator": ([{"any": [{"field": "points"}]}], ["all[0].any[0]"]),
    "a segment without its field": ({"segment": "active"}, ["segment"]),
    "no filter at all": ("x", [""]),
    "two problems in two rows": (
        {"any": [{"field": "nope", "is": 1}, {"all": [{"field": "points", "is": "y"}]}]},
        ["any[0].field", "any[1].all[0].is"],
    ),
}


@pytest.mark.parametrize("case", PROBLEMS)
def test_a_problem_says_which_row_it_is_about(case):
    tree, paths = PROBLEMS[case]
    found = filters.wrong({"model": "transactions", "filters": tree})
    assert [each["path"] for each in found] == paths
    assert all(each["right"].endswith(".") for each in found)
