"""What differs between two versions is told field by field, and nothing that differs is left out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from include.definitions.differences import differences, yaml_lines

BEFORE = {
    "id": "month-end",
    "name": "Month end",
    "schedule": {"kind": "monthly", "days": [1, "last"], "time": "06:00"},
    "fields": [{"field": "customer_id", "header": "Customer"}, {"field": "active"}],
    "filters": [{"field": "tier", "is": "Gold"}],
    "targets": [
        {"kind": "folder", "name": "finance", "options": {"folder": "finance"}},
        {"kind": "email", "options": {"to": ["a@shop.example", "b@shop.example"]}},
    ],
}


def changed(**keys):
    after = {**BEFORE, **keys}
    return {key: value for key, value in after.items() if value is not None}


def told(before, after):
    return [tuple(each) for each in differences(before, after)]


def test_one_field_of_each_kind():
    assert told(BEFORE, BEFORE) == []
    assert told(BEFORE, changed(name="Month end 2")) == [("Name", "Month end", "Month end 2")]
    assert told(BEFORE, changed(paused=True)) == [("Paused", "not set", "yes")]
    assert told(changed(paused=True), BEFORE) == [("Paused", "yes", "not set")]
    quicker = {**BEFORE["schedule"], "time": "07:30", "days": ["last"]}
    assert told(BEFORE, changed(schedule=quicker)) == [
        ("Schedule, days", "1, last", "last"),
        ("Schedule, time", "06:00", "07:30"),
    ]
    assert told(BEFORE, changed(schedule=None)) == [
        ("Schedule, kind", "monthly", "not set"),
        ("Schedule, days", "1, last", "not set"),
        ("Schedule, time", "06:00", "not set"),
    ]


def test_items_are_told_by_what_they_are_called():
    moved = [BEFORE["targets"][1], {**BEFORE["targets"][0], "options": {"folder": "board"}}]
    assert told(BEFORE, changed(targets=moved)) == [
        ("Targets, order", "finance, email", "email, finance"),
        ("Target finance, options, folder", "finance", "board"),
    ]
    assert told(BEFORE, changed(targets=BEFORE["targets"][:1])) == [
        ("Target email", "kind email, options to a@shop.example, b@shop.example", "not set")
    ]
    more = [*BEFORE["fields"], {"field": "tier"}]
    assert told(BEFORE, changed(fields=more)) == [("Field tier", "not set", "field tier")]


def test_a_tree_of_filters_is_told_whole():
    other = {"any": [{"field": "tier", "is": "Gold"}, {"field": "active", "more_than": 5}]}
    [(field, before, after)] = told(BEFORE, changed(filters=other))
    assert field == "Filters"
    assert before == '[{"field": "tier", "is": "Gold"}]'
    assert '"more_than": 5' in after


def test_two_items_of_one_name_do_not_hide_each_other():
    twice = [{"kind": "folder", "options": {"folder": name}} for name in ("a", "b")]
    other = [twice[0], {"kind": "folder", "options": {"folder": "c"}}]
    assert told({"targets": twice}, {"targets": other}) == [("Target folder (2), options, folder", "b", "c")]


def test_a_long_value_is_shortened():
    [(_, _, after)] = told({}, {"description": "x" * 5000})
    assert len(after) == 400


def test_yaml_shows_what_was_added_and_removed_with_its_surroundings():
    lines = yaml_lines(BEFORE, changed(name="Month end 2"))
    assert [(each.kind, each.text) for each in lines[:3]] == [
        ("same", "id: month-end"), ("removed", "name: Month end"), ("added", "name: Month end 2"),
    ]  # fmt: skip
    assert yaml_lines(BEFORE, BEFORE) == ()


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("abcdkind_", min_size=1, max_size=5), inner, max_size=3)
    ),
    max_leaves=12,
)
documents = st.dictionaries(st.text("abcdfilters_", min_size=1, max_size=8), values, max_size=4)


@given(documents, documents)
def test_nothing_is_told_of_the_same_and_something_of_every_difference(before, after):
    assert differences(before, before) == ()
    same = before == after
    found = differences(before, after)
    # An empty mapping and a missing one say the same.
    assert not (same and found)
    assert {each.field.split(",")[0].casefold() for each in found} <= {
        name for key in [*before, *after] for name in _names(key, before, after)
    }


def _names(key, before, after):
    """How a difference in this field may be called: by the field, or by one of its items."""
    plain = key.replace("_", " ").casefold()
    yield plain
    for document in (before, after):
        for number, item in enumerate(document.get(key) or () if isinstance(document.get(key), list) else ()):
            for name in ("id", "name", "field", "column", "kind"):
                if isinstance(item, dict) and item.get(name):
                    called = f"{plain.removesuffix('s')} {item[name]}".split(",")[0].casefold()
                    yield called
                    yield from (f"{called} ({again})" for again in range(2, number + 2))
            yield f"{plain.removesuffix('s')} item"
            yield from (f"{plain.removesuffix('s')} item ({again})" for again in range(2, number + 2))
