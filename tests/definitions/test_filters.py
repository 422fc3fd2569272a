"""Filters as documents: what is read, what is refused with which words, Voucherify's form, segments."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from decimal import Decimal

import jsonschema
import pytest
from pydantic import ValidationError

from include.definitions import voucherify_filters
from include.definitions.document import parse_yaml
from include.definitions.filters import MAX_DEPTH, Filter, fields_of, plain, problems
from include.definitions.operators import OPERATORS, words_for
from include.definitions.problems import problems_of
from include.definitions.segments import SEGMENTS, Interval
from include.definitions.values import WrongValue, exact, typed
from include.ledger.columns import Column
from include.ledger.fields import FieldType

COLUMNS = tuple(Column(kind.value, kind) for kind in FieldType)
VOUCHERIFY = (
    "$in $not_in $is $is_not $is_days_ago $is_days_in_future $has_value $is_unknown $contains $not_contain "
    "$starts_with $ends_with $more_than $less_than $more_than_equal $less_than_equal $more_than_ago $less_than_ago "
    "$more_than_future $less_than_future $after $before $count $count_less $count_more"
)


def read(document) -> Filter:
    return Filter.model_validate(document)


def written(filter_: Filter):
    return filter_.model_dump(mode="json", exclude_defaults=True)


def refused(document) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        read(document)
    return [str(problem) for problem in problems_of(caught.value, Filter, where="x.yaml: filters")]


def wrong(document) -> list[str]:
    return [str(problem) for problem in problems(read(document), COLUMNS)]


def test_there_are_voucherifys_25_operators():
    assert [f"${word}" for word in OPERATORS] == VOUCHERIFY.split()
    assert len(OPERATORS) == 25


def test_yaml_becomes_a_tree_and_a_document_again():
    text = "{all: [{field: tier, in: [Gold, Silver]}, {any: [{field: points, more_than: 12.5}, {field: text, has_value: true}]}]}"
    document = parse_yaml(text, where="x")
    assert read(document) == read(document["all"]), "a list alone is all"
    assert written(read(document)) == document
    assert read(written(read(document))) == read(document)
    assert fields_of(read(document)) == {"tier", "points", "text"}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"field": "id", "in": []}, "in: '[]': needs at least one value; an empty list keeps nothing"),
        ({"field": "id", "in": None, "has_value": True}, "in: 'null': null is no value; ask for it with is_unknown: true"),
        ({"field": "id", "not_in": ["a", None]},
         """not_in: '["a", null]': null is no value; ask for it with is_unknown: true"""),
        ({"field": "id", "is": {"a": 1}}, """is: '{"a": 1}': must be text, a number, true or false, or a list of these"""),
        ({"field": "id", "has_value": False},
         "has_value: 'false': must be true; has_value and is_unknown are each other's opposite"),
        ({"all": []}, "all: '[]': must have at least 1"),
        ([], "all: '[]': must have at least 1"),
        ({"segment": "sleepy"}, f"segment: 'sleepy': must be one of {', '.join(SEGMENTS)}"),
        ({"segment": {"active": 0}}, """segment: '{"active": 0}': needs a whole number from 1 to 36000, as in active"""),
        ({"segment": {"never_redeemed": 1}},
         """segment: '{"never_redeemed": 1}': takes nothing: write never_redeemed"""),
        ({"segment": "at_least_orders"},
         "segment: 'at_least_orders': needs a whole number from 1 to 36000, as in {at_least_orders: 3}"),
        ({"segment": {"tier": []}},
         """segment: '{"tier": []}': needs one text or several, as in {tier: [Gold, Silver]}"""),
        ({"segment": {"points_between": ["500.5", 100]}},
         ("""segment: '{"points_between": ["500.5", 100]}': needs the smaller number first, as in """
         "{points_between: [100, 500]}")),
        ({"segment": {"points_between": [None, None]}},
         ("""segment: '{"points_between": [null, null]}': needs two numbers, or null for no bound, as in """
         "{points_between: [100, 500]}")),
        ({"junction": "xor", "id": {"conditions": {"$is": ["a"]}}}, None),
    ],
)  # fmt: skip
def test_a_document_that_is_no_filter(document, message):
    if message is None:
        assert refused(document)[0].endswith(": junction must be and, or or")
    else:
        assert refused(document) == [f"x.yaml: filters.{message}"]


@pytest.mark.parametrize(
    ("document", "right"),
    [
        ({"field": "id"}, f"needs an operator, one of {', '.join(OPERATORS)}"),
        ({"is": "a"}, "must have one of all, any, field and segment"),
        ({"field": "id", "is": "a", "segment": "active"},
         "must have one of all, any, field and segment, not field and segment"),
        ({"segment": "active", "is": "a"}, "is needs a field beside it"),
    ],
)  # fmt: skip
def test_parts_that_do_not_go_together(document, right):
    [found] = refused(document)
    assert found.endswith(f": {right}")


def test_all_that_is_wrong_comes_at_once_with_its_place():
    found = refused(
        [{"field": "id", "isnt": 1, "in": []}, {"any": [{"field": "a\nb", "is": 1}, {"segment": "x"}]}]
    )
    assert [text.split(": ")[1] for text in found] == [
        "filters.all[0].in",
        "filters.all[0].isnt",
        "filters.all[1].any[0].field",
        "filters.all[1].any[1].segment",
    ]


def nested(depth: int):
    document = {"field": "id", "is": "a"}
    for level in range(depth):
        document = {("all", "any")[level % 2]: [document]}
    return document


def test_ten_levels_are_read_and_eleven_are_not():
    assert written(read(nested(MAX_DEPTH))) == nested(MAX_DEPTH)
    assert refused(nested(MAX_DEPTH + 1))[0].endswith(": must be at most 10 levels of all and any deep")
    assert refused(nested(150))[0].endswith(": must be at most 10 levels of all and any deep")


def test_ten_levels_can_be_written_in_yaml():
    text = "a: [x]"
    for _ in range(MAX_DEPTH):
        text = f"all: [{{{text}}}]"
    assert parse_yaml(f"exports: [{{filters: {{{text}}}}}]", where="x")


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"field": "tier", "is": "a"}, ("filters.field: 'tier': no such field; there are id, text, enum, json (and json.X), "
         "points, money, rate, instant, date, integer, boolean")),
        ({"field": "text.x", "is": "a"}, ("filters.field: 'text.x': no such field; there are id, text, enum, json (and "
         "json.X), points, money, rate, instant, date, integer, boolean")),
        ({"field": "boolean", "more_than": 1},
         "filters.more_than: 'more_than': boolean is boolean, for which there are in, not_in, is, is_not, has_value, is_unknown"),
        ({"field": "id", "in": ["a", 7, True]}, None),
        ({"field": "points", "is": 12.345}, "filters.is: '12.345': points is points: must be a number with at most 2 decimals"),
        ({"field": "points", "is": f"0.01{'0' * 40}1"}, (f"filters.is: '0.01{'0' * 40}1': points is points: must be a "
         "number with at most 2 decimals")),
        ({"field": "points", "less_than": float("nan")},
         "filters.less_than: 'nan': points is points: must be a number such as 12.5"),
        ({"field": "json.age", "more_than": float("inf")},
         "filters.more_than: 'inf': json.age is json: must be a number such as 12.5"),
        ({"field": "instant", "is_days_ago": float("nan")},
         "filters.is_days_ago: 'nan': instant is instant: must be a whole number of days from 0 to 36500"),
        ({"field": "points", "is": True}, "filters.is: 'true': points is points: must be a number such as 12.5"),
        ({"field": "points", "more_than": "1e3"},
         "filters.more_than: '1e3': points is points: must be a number such as 12.5"),
        ({"field": "points", "more_than": "٣"}, "filters.more_than: '٣': points is points: must be a number such as 12.5"),
        ({"field": "points", "is": "92233720368547758.08"},
         "filters.is: '92233720368547758.08': points is points: is larger than any points can be"),
        ({"field": "money", "is": 1234567890123.1234},
         "filters.is: '1234567890123.1233': money is money: has more digits than a number here keeps; write it in quotes"),
        ({"field": "money", "more_than": [1, 2]},
         "filters.more_than: '2 values': more_than takes one value at most"),
        ({"field": "integer", "is": 1.5}, "filters.is: '1.5': integer is integer: must be whole"),
        ({"field": "boolean", "is": "true"}, "filters.is: 'true': boolean is boolean: must be true or false"),
        ({"field": "date", "after": "2026-01-31T00:00:00Z"},
         "filters.after: '2026-01-31T00:00:00Z': date is date: must be a day such as 2026-01-31, from 1800 to 2500"),
        ({"field": "instant", "after": "2026-01-31T00:00:00"},
         ("filters.after: '2026-01-31T00:00:00': instant is instant: must be a day such as 2026-01-31, or an instant with "
         "its zone such as 2026-01-31T09:00:00Z, from 1800 to 2500")),
        ({"field": "instant", "after": "2026-02-30"}, None),
        ({"field": "instant", "is_days_ago": -1},
         "filters.is_days_ago: '-1': instant is instant: must be a whole number of days from 0 to 36500"),
        ({"field": "json.tags", "count": 1.5},
         "filters.count: '1.5': json.tags is json: must be a whole number of elements from 0 to 36500"),
        ({"field": "json.age", "more_than": "old"},
         "filters.more_than: 'old': json.age is json: must be a number such as 12.5"),
        ({"field": "text", "contains": ["x"] * 3 + [str(n) for n in range(100)]},
         "filters.contains: '101 values': contains takes 100 values at most"),
        ({"segment": "active"}, "filters.segment: 'active': needs the field last_activity_at, which is not here"),
    ],
)  # fmt: skip
def test_what_does_not_fit_a_field(document, message):
    found = wrong(document)
    if message is None:
        assert found
        assert all("[" in text.split(": ")[0] or "2026-02-30" in text for text in found)
    else:
        assert found == [message]


def test_every_wrong_value_of_every_condition_at_once():
    found = wrong([{"field": "id", "in": ["a", 7, True]}, {"field": "points", "more_than": "x", "is": "y"}])
    assert found == [
        """filters.all[0].in[1]: '7': id is id: must be text: write it in quotes, "7\"""",
        """filters.all[0].in[2]: 'true': id is id: must be text: write it in quotes, "true\"""",
        "filters.all[1].is: 'y': points is points: must be a number such as 12.5",
        "filters.all[1].more_than: 'x': points is points: must be a number such as 12.5",
    ]


def test_values_that_look_like_statements_are_values():
    nasty = ["'; DROP TABLE customers; --", "1 OR 1=1", "(a+)+$", "{{ conn.x.password }}", "%"]
    one = read({"field": "text", "in": nasty, "contains": nasty})
    assert problems(one, COLUMNS) == []
    assert [values for _, values in one.tests] == [tuple(nasty)] * 2


def test_fifty_thousand_values_are_read_and_checked_fast():
    values = [f"customer-{n}" for n in range(50_000)]
    start = time.process_time()
    one = read({"field": "id", "in": values})
    assert problems(one, COLUMNS) == []
    assert time.process_time() - start < 1
    assert len(one.tests[0][1]) == 50_000


@pytest.mark.parametrize(
    ("raw", "number"),
    [(1, "1"), ("12.50", "12.50"), (12.1, "12.1"), (0.07, "0.07"), ("-3", "-3"), ("+5", "5"), (True, None), ("", None),
     ("NaN", None), ("1,000", None), (" 1", None), (float("nan"), None), (float("inf"), None), (float("-inf"), None)],
)  # fmt: skip
def test_numbers_are_exact(raw, number):
    assert exact(raw) == (None if number is None else Decimal(number))


def test_a_value_becomes_units_of_the_last_place():
    more_than = OPERATORS["more_than"]
    assert typed(12.5, more_than, FieldType.POINTS) == 1250
    assert typed("0.0001", more_than, FieldType.MONEY) == 1
    assert typed("-1.00000001", more_than, FieldType.RATE) == -100000001
    with pytest.raises(WrongValue, match="at most 4 decimals"):
        typed("0.00001", more_than, FieldType.MONEY)


@pytest.mark.parametrize("kind", FieldType, ids=str)
def test_each_type_has_its_operators(kind):
    words = words_for(kind)
    assert {"in", "not_in", "is", "is_not", "has_value", "is_unknown"} <= set(words)
    assert ("more_than" in words) == (
        kind in (FieldType.POINTS, FieldType.MONEY, FieldType.RATE, FieldType.INTEGER, FieldType.JSON)
    )
    assert ("after" in words) == (kind in (FieldType.INSTANT, FieldType.DATE, FieldType.JSON))
    assert ("count" in words) == (kind is FieldType.JSON)


FROM_VOUCHERIFY = {
    "junction": "OR",
    "voucher_type": {"conditions": {"$in": ["LOYALTY_CARD", "GIFT_VOUCHER"], "$not_in": ["x"]}},
    "metadata.city": {"conditions": {"$is": ["Paris"]}},
    "created_at": {"conditions": {"$more_than_ago": ["3"]}},
    "category": {"conditions": {"$has_value": [""]}},
    "value": {"conditions": {"$more_than": 5}},
}


def test_voucherifys_form_becomes_the_same_tree():
    ours = {"any": [
        {"field": "voucher_type", "in": ["LOYALTY_CARD", "GIFT_VOUCHER"], "not_in": "x"},
        {"field": "metadata.city", "is": "Paris"},
        {"field": "created_at", "more_than_ago": "3"},
        {"field": "category", "has_value": True},
        {"field": "value", "more_than": 5},
    ]}  # fmt: skip
    assert read(FROM_VOUCHERIFY) == read(ours)
    back = voucherify_filters.written(read(ours))
    assert read(back) == read(ours)
    assert back == FROM_VOUCHERIFY | {
        "junction": "or",
        "category": {"conditions": {"$has_value": [True]}},
        "value": {"conditions": {"$more_than": [5]}},
    }


@pytest.mark.parametrize("operator", OPERATORS.values(), ids=lambda operator: operator.word)
def test_every_operator_goes_both_ways(operator):
    values = [True] if operator.takes == "nothing" else ["1"]
    document = {"junction": "and", "x": {"conditions": {f"${operator.word}": values}}}
    one = read(document)
    assert written(one) == {"all": [{"field": "x", operator.word: values[0]}]}
    assert voucherify_filters.written(one) == document


@pytest.mark.parametrize(
    "document",
    [nested(2), {"segment": "active"}, [{"field": "x", "is": "1"}, {"field": "x", "is": "2"}]],
)
def test_what_voucherify_cannot_say(document):
    with pytest.raises(ValueError, match="cannot be said in Voucherify's form"):
        voucherify_filters.written(read(document))


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ({"junction": "and", "x": {"conditions": {"$like": ["a"]}}}, "all[0].$like"),
        ({"junction": "and", "x": {"conditions": {"in": ["a"], "$is": [1]}}}, None),
        ({"junction": "and", "x": {"conditions": {"field": "email", "$is": ["a"]}}}, ""),
        ({"junction": "and", "x": ["a"]}, "all[0].conditions"),
        ({"junction": "and", "x": {"conditions": {"$is": [None]}}}, "all[0].is"),
        ({"junction": "and"}, "all"),
    ],
)
def test_what_is_not_voucherifys_form(document, place):
    if place is None:
        assert read(document).all[0].tests[0][0].word == "in"
    else:
        assert refused(document)[0].startswith(f"x.yaml: filters.{place}".rstrip(".") + ": ")


AT = datetime(2026, 2, 1, tzinfo=UTC)
JANUARY = Interval(datetime(2026, 1, 1, tzinfo=UTC), AT)


@pytest.mark.parametrize(
    ("segment", "run", "document"),
    [
        ("active", None, {"field": "last_activity_at", "less_than_ago": 31}),
        ({"active": 7}, None, {"field": "last_activity_at", "less_than_ago": 8}),
        ({"inactive": 90}, None, {"any": [{"field": "last_activity_at", "more_than_ago": 90},
                                          {"field": "last_activity_at", "is_unknown": True}]}),
        ("never_redeemed", None, {"any": [{"field": "spent", "less_than_equal": 0}, {"field": "spent", "is_unknown": True}]}),
        ("new", JANUARY, {"field": "registered_at", "after": "2025-12-31T23:59:59.999999Z", "before": "2026-02-01T00:00:00Z"}),
        ("new", None, {"field": "registered_at", "less_than_ago": 31}),
        ({"new": 7}, JANUARY, {"field": "registered_at", "less_than_ago": 8}),
        ("returning", JANUARY, {"field": "registered_at", "before": "2026-01-01T00:00:00Z"}),
        ("returning", Interval(None, AT), {"field": "registered_at", "more_than_ago": 30}),
        ({"at_least_orders": 3}, None, {"field": "orders_total_count", "more_than_equal": 3}),
        ({"tier": "Gold"}, None, {"field": "tier", "in": "Gold"}),
        ({"points_between": [100, "500.25"]}, None,
         {"field": "points_balance", "more_than_equal": 100, "less_than_equal": "500.25"}),
        ({"points_earned_between": [10000, None]}, None, {"field": "lifetime_earned", "more_than_equal": 10000}),
    ],
    ids=str,
)  # fmt: skip
def test_a_segment_is_a_filter_in_ordinary_words(segment, run, document):
    names = {"spent": FieldType.POINTS, "tier": FieldType.TEXT, "points_balance": FieldType.POINTS, "lifetime_earned": FieldType.POINTS,
             "orders_total_count": FieldType.INTEGER, "registered_at": FieldType.INSTANT, "last_activity_at": FieldType.INSTANT}  # fmt: skip
    columns = [Column(name, kind) for name, kind in names.items()]
    one = read({"all": [{"segment": segment}]})
    assert problems(one, columns) == []
    assert plain(one, columns, run) == read({"all": [document]})
    assert fields_of(one, columns) == fields_of(read(document))
    assert read(written(one)) == one
    assert [problem.code for problem in problems(one, [Column("id", FieldType.ID)])] == ["missing_field"]


def test_a_segment_takes_the_first_of_its_fields_and_its_values_are_checked():
    columns = [Column("loyalty_points", FieldType.POINTS), Column("spent", FieldType.POINTS)]
    one = read([{"segment": {"points_between": [1.234, None]}}, {"segment": "never_redeemed"}])
    assert fields_of(one, columns) == {"loyalty_points", "spent"}
    [problem] = problems(one, columns)
    assert str(problem) == (
        "filters.all[0].segment: '1.234': loyalty_points is points: must be a number with at most 2 decimals"
    )


@pytest.mark.parametrize(
    "written",
    [
        [{"field": "tier", "is": "Gold"}, {"any": [[{"segment": "active"}], {"segment": {"inactive": 90}}]}],
        {"junction": "and", "tier": {"conditions": {"$in": ["Gold"]}}},
        {"segment": {"tier": ["Gold"]}},
    ],
)
def test_the_schema_knows_every_way_to_write_a_filter(written):
    schema = Filter.model_json_schema()
    jsonschema.validate(written, schema)
    Filter.model_validate(written)
    for wrong in ({"fild": "tier"}, [], {"segment": "inactiv"}, {"segment": "tier"}, {"all": [{"field": 3}]}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)
        with pytest.raises(ValidationError):
            Filter.model_validate(wrong)
