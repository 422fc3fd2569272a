"""Rows without the people who were erased: their names are pseudonyms, what is about them is empty, all else is as it was.

Guards: a person is gone from what is read, every other row is equal, sums stay (docs/privacy.md).
"""

import json
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.connections import Connection, Secrets
from include.errors import BadInput
from include.ledger.catalog import RELATIONS, FieldType, arrow_schema
from include.ledger.people import Name, about, names
from include.snapshots.erased import Erased
from include.snapshots.names import Hasher, hasher, is_mention
from include.state.erasures import Erasure, ErasureDetail, ErasureState, digest

KEY = b"k" * 40
HASHED = Hasher(KEY)
AT = datetime(2026, 1, 1, tzinfo=UTC)


def erasure(people, mentions=()):
    """The erasure of names (kind, value), each of which becomes `erased-<value>`."""
    detail = ErasureDetail(
        check=HASHED.check,
        names={HASHED.name(kind, value): f"erased-{value}" for kind, value in people},
        mentions={HASHED.mention(value): new for value, new in mentions},
    )
    about_it = {"requested_by": "ann", "created_at": AT, "updated_at": AT}
    return Erasure(subject="s", pseudonym="erased-1", state=ErasureState.PLANNED, detail=detail, **about_it)


def erased(*people, mentions=()):
    return Erased(HASHED, [erasure(people, mentions)])


def rows(relation, *documents):
    schema = arrow_schema(RELATIONS[relation], [*documents[0]])
    columns = [[row[name] for row in documents] for name in documents[0]]
    return pa.RecordBatch.from_arrays(
        [pa.array(values, kind) for values, kind in zip(columns, schema.types, strict=True)], schema=schema
    )


def test_a_customer_keeps_a_row_and_no_data():
    before = rows(
        "customers",
        {"customer_id": "c1", "name": "Ada", "email": "ada@example.com", "tier": "Gold", "referrer_id": "c2"},
        {"customer_id": "c2", "name": "Bo", "email": "bo@example.com", "tier": "Base", "referrer_id": "c1"},
    )
    after = erased((Name.CUSTOMER, "c1")).apply("customers", before)
    assert after.schema == before.schema
    assert after.to_pylist() == [
        {"customer_id": "erased-c1", "name": None, "email": None, "tier": "Gold", "referrer_id": "c2"},
        {"customer_id": "c2", "name": "Bo", "email": "bo@example.com", "tier": "Base", "referrer_id": "erased-c1"},
    ]  # fmt: skip


def test_a_card_is_no_customer_of_the_same_number():
    before = rows("transactions", {"customer_id": "5", "card_id": "7"}, {"customer_id": "7", "card_id": "5"})
    after = erased((Name.CARD, "5")).apply("transactions", before)
    assert after.to_pylist() == [
        {"customer_id": "5", "card_id": "7"},
        {"customer_id": "7", "card_id": "erased-5"},
    ]


def test_what_staff_did_stays_with_staff():
    before = rows(
        "transactions", {"customer_id": "c1", "admin_user": "ana@example.com", "reason": "Goodwill"}
    )
    after = erased((Name.CUSTOMER, "c1")).apply("transactions", before)
    assert after["admin_user"].to_pylist() == ["ana@example.com"]


def test_a_record_of_changes_is_of_the_relation_that_it_names():
    before = rows(
        "changes",
        {"entity": "customers", "entity_id": "c1", "old_value": "Ada", "new_value": "Ada M", "changed_by": "ana"},
        {"entity": "orders", "entity_id": "c1", "old_value": "1", "new_value": "2", "changed_by": "ana"},
        {"entity": "cards", "entity_id": "k9", "old_value": "customer-1", "new_value": None, "changed_by": "ana"},
    )  # fmt: skip
    people = erased((Name.CUSTOMER, "c1"), mentions=[("customer-1", "erased-c1")])
    assert people.apply("changes", before).to_pylist() == [
        {"entity": "customers", "entity_id": "erased-c1", "old_value": None, "new_value": None, "changed_by": "ana"},
        {"entity": "orders", "entity_id": "c1", "old_value": "1", "new_value": "2", "changed_by": "ana"},
        {"entity": "cards", "entity_id": "k9", "old_value": "erased-c1", "new_value": None, "changed_by": "ana"},
    ]  # fmt: skip
    assert people.count("changes", before) == 1


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Transfer to cust-12345.", "Transfer to erased-1."),
        ("ADA@Example.com", "erased-1"),
        ("from cust-123456", "from cust-123456"),  # somebody else
        ('{"customer_id":"c9","n":1.5}', '{"customer_id":"erased-c9","n":1.5}'),
        ('{"customer_id":9}', '{"customer_id":"erased-9"}'),
        ('{"quantity":9}', '{"quantity":9}'),
        ('{"household":["cust-12345","x"]}', '{"household":["erased-1","x"]}'),
        ('{"cust-12345": true}', '{"erased-1":true}'),
        ('{"note":"asked by ada@example.com, twice"}', '{"note":"asked by erased-1, twice"}'),
        ('{"a": 1,  "b": [2]}', '{"a": 1,  "b": [2]}'),  # not a byte changes where nobody is named
        ("{not json cust-12345}", "{not json erased-1}"),
        ("mailto:ada@example.com", "mailto:erased-1"),
        ("https://shop.example/customers/cust-12345?tab=1", "https://shop.example/customers/erased-1?tab=1"),
        ("customer:cust-12345, #cust-12345", "customer:erased-1, #erased-1"),
        (
            "\u201cada@example.com\u201d and ada@example.com\u2019s\u2026",
            "\u201cerased-1\u201d and erased-1\u2019s\u2026",
        ),
        ("*cust-12345*\u200b", "*erased-1*\u200b"),
        ("to gid://shop/Customer/123/orders", "to erased-1/orders"),
        ('{"url":"https://s.example/cust-12345"}', '{"url":"https://s.example/erased-1"}'),
        ("ada@example.com, not my-ada@example.com", "erased-1, not my-ada@example.com"),  # somebody else
        ("cust-12345-b/cust-123456", "cust-12345-b/cust-123456"),
    ],
)
def test_mentions_in_texts(before, after):
    people = erased(
        (Name.CUSTOMER, "c9"),
        (Name.CUSTOMER, "9"),
        mentions=[
            (name, "erased-1") for name in ("cust-12345", "ada@example.com", "gid://shop/Customer/123")
        ],
    )
    assert people.text(before) == after
    if before.startswith("{"):
        batch = rows("transactions", {"transaction_id": "t", "customer_id": "x", "details": before})
        assert people.apply("transactions", batch)["details"].to_pylist() == [after]


@pytest.mark.parametrize(("value", "looked_for"), [("c0000005", True), ("123456", False), ("c12", False)])
def test_what_could_stand_for_anything_is_not_looked_for(value, looked_for):
    assert is_mention(value) is looked_for


IDS = st.text("abc123é-", min_size=1, max_size=3)
VALUES = {
    FieldType.ID: st.none() | IDS,
    FieldType.TEXT: st.none() | st.text(max_size=12),
    FieldType.JSON: st.none() | st.dictionaries(IDS, IDS, max_size=2).map(json.dumps),
    FieldType.POINTS: st.integers(-(10**6), 10**6),
}


@st.composite
def batches(draw):
    """A relation that names people, some of its columns, some rows."""
    relation = draw(st.sampled_from([name for name, of in RELATIONS.items() if names(of)]))
    fields = [field for field in RELATIONS[relation].fields if field.type in VALUES]
    count = draw(st.integers(0, 12))
    schema = arrow_schema(RELATIONS[relation], [field.name for field in fields])
    arrays = [
        pa.array(draw(st.lists(VALUES[field.type], min_size=count, max_size=count)), kind)
        for field, kind in zip(fields, schema.types, strict=True)
    ]
    return relation, pa.RecordBatch.from_arrays(arrays, schema=schema)


@given(batches(), st.sets(IDS, min_size=1, max_size=4), st.integers(1, 5))
def test_only_what_is_theirs_changes(found, people, at_once):
    relation, before = found
    of, gone = RELATIONS[relation], erased(*((Name.CUSTOMER, each) for each in people))
    parts = [before.slice(first, at_once) for first in range(0, len(before), at_once)] or [before]
    after = pa.Table.from_batches([gone.apply(relation, part) for part in parts]).to_pylist()
    named = [name for name, kind in names(of).items() if kind is Name.CUSTOMER]
    assert len(after) == len(before)
    for old, new in zip(before.to_pylist(), after, strict=True):
        own = old.get("customer_id") in people
        for field, value in old.items():
            if field in named and value in people:
                assert new[field] == f"erased-{value}"
            elif own and field in about(of):
                assert new[field] is None
            elif RELATIONS[relation].field(field).type is not FieldType.JSON:
                assert new[field] == value
    if "points" in before.schema.names:
        assert sum(row["points"] for row in after) == sum(before["points"].to_pylist())


def test_the_digest_tells_lists_of_people_apart():
    one, two = erasure([(Name.CUSTOMER, "a")]), erasure([(Name.CUSTOMER, "b")])
    assert digest([]) is None
    assert digest([one, two]) == digest([two, one]) != digest([one])


@pytest.mark.parametrize(
    ("password", "code"), [(None, "missing_erasure_key"), ("short", "missing_erasure_key"), ("x" * 40, "other_erasure_key")]
)  # fmt: skip
def test_without_the_key_nobody_can_be_known(password, code):
    connections = (
        {} if password is None else {"loyalty_erasure": Connection("loyalty_erasure", password=password)}
    )
    with pytest.raises(BadInput) as caught:
        hasher(Secrets(connections=connections), [erasure([(Name.CUSTOMER, "a")])])
    assert [problem.code for problem in caught.value.problems] == [code]
    assert "x" * 40 not in str(caught.value)
