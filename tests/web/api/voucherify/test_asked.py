"""A request in the vendor's words becomes the right definition, or is refused with all that is wrong with it."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.definitions.operators import OPERATORS
from include.errors import BadInput, Problem
from include.web.api.voucherify.asked import Parameters, definition_of
from include.web.api.voucherify.errors import Key
from include.web.api.voucherify.objects import ORDERS, exported
from tests.lazily import voucherify

# The vendor's own document: what an export has when no fields are named.
DEFAULTS = {
    "order": ["id", "source_id", "status"],
    "voucher": ["code", "voucher_type", "value", "discount_type"],
    "publication": ["code", "customer_id", "date", "channel"],
    "redemption": ["id", "object", "voucher_code", "customer_id", "date", "result"],
    "customer": ["name", "source_id"],
    "points_expiration": ["id", "campaign_id", "voucher_id", "status", "expires_at", "points"],
    "voucher_transactions": [
        "id", "type", "source_id", "status", "reason", "source", "balance", "amount", "created_at",
    ],
    # No document says: all that the vendor's client knows of them.
    "product": ["id", "name", "price", "image_url", "source_id", "attributes", "metadata", "created_at", "updated_at"],
    "sku": [
        "id", "sku", "product_id", "currency", "price", "image_url", "source_id", "attributes", "metadata",
        "created_at", "updated_at",
    ],
}  # fmt: skip


def asked(kind: str = "voucher", **parameters: Any) -> dict[str, Any]:
    return definition_of(kind, Parameters(**parameters)).document()


def refused(kind: str = "voucher", **parameters: Any) -> tuple[Problem, ...]:
    with pytest.raises(BadInput) as caught:
        definition_of(kind, Parameters(**parameters))
    return caught.value.problems


def condition(**operators: Any) -> dict[str, Any]:
    return {"conditions": {f"${name}": value for name, value in operators.items()}}


@pytest.mark.parametrize("kind", DEFAULTS)
def test_an_export_without_fields_has_the_usual_ones(kind):
    for parameters in ({}, {"fields": []}, {"fields": None}):
        assert asked(kind, **parameters)["fields"] == [{"field": each} for each in DEFAULTS[kind]]


@pytest.mark.parametrize("kind", DEFAULTS)
def test_every_field_may_be_asked_for_in_any_order(kind):
    backwards = list(reversed(exported(kind).fields))
    assert [each["field"] for each in asked(kind, fields=backwards)["fields"]] == backwards


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in ORDERS.items() for name in names])
def test_every_order_up_and_down(kind, name):
    [up], [down] = asked(kind, order=name)["order"], asked(kind, order=f"-{name}")["order"]
    assert down == f"-{up}"


def test_an_order_is_of_the_column_that_it_means():
    assert asked("redemption", order="-created_at")["order"] == ["-redeemed_at"]
    assert asked("publication", order="id")["order"] == ["publication_id"]
    assert "order" not in asked("customer", order="")  # as the vendor's own console sends it


@pytest.mark.parametrize("operator", OPERATORS)
def test_every_operator_of_the_vendor_is_known(operator):
    takes = OPERATORS[operator].takes
    value = {"instant": "2026-01-01T00:00:00.000Z", "nothing": "", "texts": "a", "values": "2026-01-01"}
    field = {"number": "redemption_count", "count": "metadata.tags", "texts": "code"}.get(takes, "created_at")
    found = asked(filters={field: condition(**{operator: [value.get(takes, "3")]})})["filters"]
    [kept] = found["all"][0]["all"]
    assert operator in kept
    assert kept["field"] == field


def test_conditions_are_joined_by_and_unless_the_junction_is_or():
    filters = {"code": condition(is_="X") | {"conditions": {"$is": "X"}}, "active": condition(has_value=[])}
    for junction, word in {None: "all", "and": "all", "AND": "all", "or": "any", "OR": "any"}.items():
        document = filters if junction is None else {"junction": junction, **filters}
        assert list(asked(filters=document)["filters"]["all"][0]) == [word]


def test_a_junction_alone_is_no_filter():
    assert "filters" not in asked(filters={"junction": "and"})


def test_what_the_vendors_client_leaves_empty_is_left_out():
    filters = {"junction": "and", "code": {"conditions": {"$in": ["A"], "$is": None}}, "active": None}
    [kept] = asked(filters=filters)["filters"]["all"][0]["all"]
    assert kept == {"field": "code", "in": "A"}


def test_names_of_the_vendor_for_the_same_thing():
    for name, column in {"categories": "category", "holder_id": "customer_id", "id": "voucher_id"}.items():
        [kept] = asked(filters={name: condition(in_=["x"]) | {"conditions": {"$in": ["x"]}}})["filters"][
            "all"
        ][0]["all"]
        assert kept["field"] == column
    [kept] = asked("customer", filters={"address.city": {"conditions": {"$is": ["Ulm"]}}})["filters"]["all"][
        0
    ]["all"]
    assert kept == {"field": "address_city", "is": "Ulm"}


@given(cents=st.integers(-(10**15), 10**15), as_text=st.booleans())
def test_amounts_are_a_hundred_times_what_the_ledger_has(cents, as_text):
    value = str(cents) if as_text else cents
    found = asked("order", filters={"total_amount": {"conditions": {"$more_than": [value]}}})
    [kept] = found["filters"]["all"][0]["all"]
    whole, rest = divmod(abs(cents), 100)
    assert kept["more_than"] == f"{'-' if cents < 0 else ''}{whole}.{rest:02}"


def test_flags_may_come_as_text_since_the_vendor_has_no_others():
    [kept] = asked(filters={"active": {"conditions": {"$is": ["true"]}}})["filters"]["all"][0]["all"]
    assert kept["is"] is True


def test_the_campaign_must_fit_whatever_the_junction_says():
    filters = {
        "junction": "or",
        "code": {"conditions": {"$is": ["A"]}},
        "category": {"conditions": {"$is": ["B"]}},
    }
    found = asked(filters=filters, campaign_id="m1")["filters"]["all"]
    assert list(found[0]) == ["any"]
    assert found[1] == {"field": "campaign_id", "is": "m1"}


def test_texts_stay_what_they_are():
    """SQL, patterns and formulas are values like all others: nothing here becomes a statement."""
    for text in ("'; DROP TABLE vouchers; --", "(a+)+$", "=1+1", "%", "{{ conn.x }}"):
        for operator in ("$is", "$starts_with", "$contains"):
            [kept] = asked(filters={"code": {"conditions": {operator: [text]}}})["filters"]["all"][0]["all"]
            assert kept[operator[1:]] == text


def test_fifty_thousand_values_are_not_too_many():
    values = [f"CODE-{number}" for number in range(50_000)]
    [kept] = asked(filters={"code": {"conditions": {"$in": values}}})["filters"]["all"][0]["all"]
    assert kept["in"] == values


WRONG = [
    ("voucher", {"code": {"conditions": {"$in": []}}}, "code.conditions.$in", "an empty list keeps nothing"),
    ("voucher", {"code": {"conditions": {"$is": [None]}}}, "code.conditions.$is", "null is no value"),
    ("voucher", {"code": {"conditions": {"$is": None}}}, "code", "should be an object with conditions"),
    (
        "voucher",
        {"code": {"conditions": {"$is": [{"a": 1}]}}},
        "code.conditions.$is",
        "must be text, a number",
    ),
    (
        "voucher",
        {"code": {"conditions": {"$is": [8638]}}},
        "code.conditions.$is",
        'write it in quotes, "8638"',
    ),
    ("voucher", {"code": {"conditions": {"$like": ["a"]}}}, "code", "Unsupported operator '$like'"),
    ("voucher", {"code": {"conditions": {"field": "email"}}}, "code", "Unsupported operator 'field'"),
    ("voucher", {"code": {"conditions": {"all": []}}}, "code", "Unsupported operator 'all'"),
    ("voucher", {"code": {"conditions": {}}}, "code", "should be an object with conditions"),
    ("voucher", {"code": {"$is": ["a"]}}, "code", "should be an object with conditions"),
    ("voucher", {"code": ["a"]}, "code", "should be an object with conditions"),
    (
        "voucher",
        {"created_at": {"conditions": {"$after": ["soon"]}}},
        "created_at.conditions.$after",
        "must be a day",
    ),
    (
        "voucher",
        {"created_at": {"conditions": {"$after": ["2026-02-30"]}}},
        "created_at.conditions.$after",
        "a day",
    ),
    (
        "voucher",
        {"created_at": {"conditions": {"$is_days_ago": [-1]}}},
        "created_at.conditions.$is_days_ago",
        "whole",
    ),
    (
        "voucher",
        {"redemption_count": {"conditions": {"$is": ["many"]}}},
        "redemption_count.conditions.$is",
        "a number",
    ),
    (
        "voucher",
        {"active": {"conditions": {"$is": ["yes"]}}},
        "active.conditions.$is",
        "must be true or false",
    ),
    (
        "voucher",
        {"created_at": {"conditions": {"$contains": ["2026"]}}},
        "created_at.conditions.$contains",
        "after",
    ),
    (
        "voucher",
        {"redemption_status": {"conditions": {"$is": ["x"]}}},
        "redemption_status",
        "Unsupported filter used",
    ),
    ("voucher", {"value": {"conditions": {"$is": ["1"]}}}, "value", "Unsupported filter used"),
    ("voucher", {"junction": "xor"}, "junction", "[ and, or ]"),
    ("voucher", {"junction": ["and"]}, "junction", "[ and, or ]"),
    (
        "order",
        {"total_amount": {"conditions": {"$is": ["1e3"]}}},
        "total_amount.conditions.$is",
        "must be a number",
    ),
    ("order", {"total_amount": {"conditions": {"$is": [0.001]}}}, "total_amount.conditions.$is", "at most"),
]


@pytest.mark.parametrize(("kind", "filters", "where", "right"), WRONG)
def test_a_wrong_filter_is_named_in_the_words_of_the_request(kind, filters, where, right):
    [problem] = refused(kind, filters=filters)
    assert problem.where == f"parameters.filters.{where}"
    assert right in problem.right
    assert problem.code == Key.PARAMETERS


def test_all_that_is_wrong_is_told_at_once():
    problems = refused(
        "redemption",
        order="loyalty_points",
        fields=["id", "id", "points", "metadata."],
        filters={"junction": "nor", "who": {}, "result": "SUCCESS"},
        campaign_id="m1",
    )
    assert [each.where for each in problems] == [
        "parameters.order",
        *(f"parameters.fields[{index}]" for index in (1, 2, 3)),
        *(f"parameters.filters.{name}" for name in ("junction", "who", "result")),
    ]


def test_a_campaign_is_only_for_what_has_one():
    assert refused("customer", campaign_id="m1")[0].where == "parameters.campaign_id"


def test_the_kind_is_one_of_nine():
    for kind in ("campaign", "", "Voucher"):
        [problem] = refused(kind)
        assert (problem.where, problem.code) == ("exported_object", Key.PAYLOAD)
        assert problem.right.endswith("product, sku ]")


def test_a_log_of_requests_is_refused_with_where_to_look_instead():
    [problem] = refused("api_log", fields=["id", "endpoint"])
    assert (problem.where, problem.code) == ("exported_object", Key.PAYLOAD)
    assert "GET /loyalty/api/v1/audit" in problem.right


@pytest.mark.parametrize("kind", ["product", "sku"])
def test_what_a_ledger_does_not_say_of_products_is_a_column_and_neither_a_filter_nor_an_order(kind):
    """Were it one, every row would have no such value: all would go, or stand in no order, and nobody were told."""
    [problem] = refused(kind, filters={"created_at": {"conditions": {"$after": ["2026-01-01"]}}})
    assert "Allowed filters: id," in problem.right
    [problem] = refused(kind, order="-created_at")
    assert "-source_id" in problem.right
    [kept] = asked(kind, filters={"price": {"conditions": {"$less_than": ["1000"]}}})["filters"]["all"][0][
        "all"
    ]
    assert kept == {"field": "price", "less_than": "10.00"}


@pytest.mark.slow
def test_objects_and_fields_are_those_that_the_vendors_client_knows():
    """Its newest one refuses all others before it asks."""
    for kind in DEFAULTS:
        known = voucherify.ExportsCreateRequestBodyParameters(fields=list(exported(kind).fields))
        voucherify.ExportsCreateRequestBody(exported_object=kind, parameters=known)


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_texts_that_nothing_can_hold_are_refused_wherever_they_stand(text):
    filters: dict[str, Any] = {"code": {"conditions": {"$is": [text]}}}
    for parameters in (
        {"filters": filters},
        {"filters": {text: {}}},
        {"fields": [text]},
        {"order": text},
        {"campaign_id": text},
    ):
        assert {each.code for each in refused(**parameters)} == {Key.PAYLOAD}


def test_numbers_without_end_and_depth_without_end_are_refused():
    assert refused(filters={"code": {"conditions": {"$is": [float("nan")]}}})[0].right == "is no number"
    deep: Any = "x"
    for _ in range(50):
        deep = [deep]
    assert refused(filters={"code": deep})[0].right == "is nested too deep"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["conditions", "$is", "$in", "x"]), inner)
    ),
    max_leaves=8,
)


@given(
    kind=st.sampled_from(list(ORDERS)),
    filters=st.dictionaries(st.sampled_from(["code", "id", "junction", "metadata.x", "created_at"]), JSON),
)
def test_whatever_comes_is_a_definition_or_bad_input(kind, filters):
    with contextlib.suppress(BadInput):
        assert definition_of(kind, Parameters(filters=filters)).document()
