"""The rules of an aggregation and of an order, each with its words."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from include.definitions.aggregation import MEANINGS, TYPES, problems
from include.definitions.content import Content
from include.definitions.problems import problems_of
from include.ledger.columns import Column
from include.ledger.fields import FieldType

COLUMNS = tuple(Column(kind.value, kind) for kind in FieldType)
GROUP = {"field": "id", "function": "group"}


def refused(document) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        Content.model_validate(document)
    return [str(problem) for problem in problems_of(caught.value, Content, where="x.yaml")]


@pytest.mark.parametrize(
    ("aggregation", "message"),
    [
        ([], "x.yaml: aggregation: '[]': must have at least 1"),
        ([{"field": "id", "function": "count"}], None),
        ([GROUP, {"field": "points"}], "x.yaml: aggregation[1].function: '': is required"),
        ([GROUP, {"field": "points", "function": "median"}],
         "x.yaml: aggregation[1].function: 'median': must be 'group', 'count', 'sum', 'average', 'min' or 'max'"),
        ([GROUP, {"field": "points", "function": "sum", "as": "x"}],
         "x.yaml: aggregation[1].as: 'as': is not a key here; known keys are field, function, header"),
    ],
)  # fmt: skip
def test_a_rule_is_explained(aggregation, message):
    [found] = refused({"aggregation": aggregation})
    if message is None:
        assert found.endswith(": needs at least one field with function: group, which says what one row is")
    else:
        assert found == message


@pytest.mark.parametrize(
    ("document", "right"),
    [
        ({"aggregation": [GROUP, GROUP]}, "the header id is here twice; give one of them another"),
        ({"aggregation": [GROUP], "fields": ["id"]}, "an aggregation names its own fields: leave out fields"),
        ({"order": ["id", "-id"]}, "id is here twice; rows are ordered by it already"),
        ({"order": []}, "must have at least 1"),
        ({"limit": 0}, "must be greater than or equal to 1"),
    ],
)
def test_parts_that_do_not_go_together(document, right):
    [found] = refused(document)
    assert found.endswith(f": {right}")


def test_an_order_may_be_one_name():
    assert Content.model_validate({"order": "-points"}).order == ["-points"]


@pytest.mark.parametrize("kind", FieldType, ids=str)
@pytest.mark.parametrize("function", MEANINGS)
def test_a_function_is_for_its_types(function, kind):
    chosen = Content.model_validate(
        {"aggregation": [GROUP, {"field": kind.value, "function": function, "header": "x"}]}
    ).aggregation
    found = problems(chosen, COLUMNS)
    assert (found == []) == (kind in TYPES[function])
    if found:
        assert found[0].where == "aggregation[1].function"
        assert found[0].right.startswith(f"{kind.value} is {kind.value}, for which there are ")


def test_an_unknown_field_is_named_with_the_known_ones():
    chosen = Content.model_validate(
        {"aggregation": [GROUP, {"field": "tier", "function": "count"}]}
    ).aggregation
    [problem] = problems(chosen, COLUMNS[:2])
    assert str(problem) == "aggregation[1].field: 'tier': no such field; there are id, text"
