"""Who may see no personal data saves no export that shows them, keeps rows by them or sorts rows by them."""

from __future__ import annotations

import pytest

from include.definitions.load import from_document
from include.pipeline.checks import check
from include.web.personal import not_permitted
from include.web.reader import Reader, Right

PRIVACY = {"fields": {"email": "mask"}}
GROUPS = [
    {"field": "email", "function": "group", "header": "who"},
    {"field": "customer_id", "function": "count"},
]


def refused(*, personal: bool = False, **keys) -> list[tuple[str, str]]:
    definition = from_document(
        {"id": "mine", "name": "Mine", "targets": [{"kind": "folder", "options": {"folder": "x"}}], **keys},
        where="",
        check=check,
    )
    reader = Reader("op", frozenset(), lambda right, _: personal or right is not Right.PERSONAL, frozenset)
    found = list(not_permitted(reader, definition, None))
    assert {each.code for each in found} <= {"personal_not_permitted"}
    return [(each.where, each.value) for each in found]


@pytest.mark.parametrize(
    ("keys", "places"),
    [
        ({"fields": ["customer_id", "email"]}, [("fields[1].field", "email")]),
        ({"filters": [{"field": "email", "starts_with": "a"}]}, [("filters", "email")]),
        (
            {
                "filters": [
                    {"any": [{"field": "loyalty_points", "more_than": 0}, {"field": "name", "is": "x"}]}
                ]
            },
            [("filters", "name")],
        ),
        ({"order": ["-email", "customer_id"]}, [("order", "email")]),
        # What is protected in the file still decides over its rows.
        (
            {"fields": ["customer_id", "email"], "privacy": PRIVACY, "order": ["email"]},
            [("order", "email")],
        ),
        ({"aggregation": GROUPS, "privacy": PRIVACY, "order": ["who"]}, [("order", "email")]),
        (
            {"fields": ["customer_id", "email"], "file": {"split": {"field": "email"}}},
            [("fields[1].field", "email")],
        ),
        # Nothing that tells of anybody.
        ({"fields": ["customer_id", "email"], "privacy": PRIVACY}, []),
        ({"fields": ["customer_id", "email"], "privacy": PRIVACY, "file": {"split": {"field": "email"}}}, []),
        ({"filters": [{"field": "loyalty_points", "more_than": 0}], "order": ["loyalty_points"]}, []),
    ],
)
def test_a_personal_field_is_refused_where_it_stands(keys, places):
    assert refused(model="customers", **keys) == places
    assert refused(model="customers", personal=True, **keys) == []


def test_a_part_of_a_pack_is_named():
    parts = [
        {"id": "balances", "model": "balance"},
        {"id": "people", "model": "customers", "order": ["email"]},
    ]
    assert refused(exports=parts, bundle="zip") == [("exports[1].order", "email")]
