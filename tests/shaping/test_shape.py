"""The whole chain: what is wanted of the model, what leaves, in which order the steps come, what is wrong."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from include.definitions.content import Content
from include.errors import BadInput
from include.ledger.columns import Column
from include.ledger.fields import FieldType
from include.shaping.shape import Shape

MODEL = (
    Column("customer_id", FieldType.ID),
    Column("tier", FieldType.TEXT),
    Column("email", FieldType.TEXT, pii=True),
    Column("points_balance", FieldType.POINTS),
    Column("metadata", FieldType.JSON),
)
ROWS = [
    ("c1", "Gold", "a@x", 500, '{"city": "Paris"}'),
    ("c2", "Silver", None, 100, "{}"),
    ("c3", None, "c@x", 300, None),
    ("c4", "Gold", "d@x", 200, '{"city": "Lyon"}'),
    ("c5", "Silver", "e@x", 300, '{"city": "Paris"}'),
]
AT = datetime(2026, 2, 1, tzinfo=UTC)


def batches(names=tuple(column.name for column in MODEL)):
    """The model's rows two at a time, with only the columns that are wanted."""
    for first in range(0, len(ROWS), 2):
        cells = dict(
            zip((column.name for column in MODEL), zip(*ROWS[first : first + 2], strict=True), strict=True)
        )
        yield pa.record_batch({name: pa.array(cells[name]) for name in cells if name in names})


def shape(tmp_path, *, layout=None, protect=None, **content) -> Shape:
    made = Content.model_validate(content)
    return Shape(
        made, MODEL, at=AT, zone="UTC", scratch=tmp_path, layout=layout, protect=protect, where="x.yaml: "
    )


def run(one: Shape) -> list[tuple]:
    found = []
    for batch in one.apply(batches(one.wanted)):
        assert batch.schema.names == [column.name for column in one.columns]
        found += [tuple(row.values()) for row in batch.to_pylist()]
    return found


def test_nothing_asked_changes_nothing(tmp_path):
    one = shape(tmp_path, fields=[column.name for column in MODEL])
    assert one.columns == MODEL
    assert one.wanted == {column.name for column in MODEL}
    assert run(one) == ROWS


def test_who_names_no_fields_gets_no_personal_ones(tmp_path):
    one = shape(tmp_path)
    assert one.wanted == {"customer_id", "tier", "points_balance", "metadata"}
    assert run(one) == [(a, b, d, e) for a, b, _, d, e in ROWS]
    masked = shape(tmp_path, privacy={"fields": {"email": "mask"}})
    assert masked.columns == MODEL
    assert masked.fields == tuple(column.name for column in MODEL)


def test_privacy_knows_columns_by_their_fields(tmp_path):
    groups = [("email", "group", "E"), ("email", "max", "M"), ("email", "count", "C")]
    one = shape(
        tmp_path, aggregation=[dict(zip(("field", "function", "header"), x, strict=True)) for x in groups]
    )
    assert one.fields == ("email", "email", "C")
    assert [column.pii for column in one.columns] == [True, True, False]
    assert Content.model_validate(
        {"aggregation": [{"field": "email", "function": "group"}]}
    ).named_fields == ["email"]
    assert shape(tmp_path, fields=[{"field": "email", "header": "E-mail"}]).fields == ("email",)


def test_rows_are_kept_sorted_cut_and_their_columns_chosen(tmp_path):
    one = shape(
        tmp_path,
        filters=[{"field": "email", "has_value": True}, {"field": "points_balance", "more_than": 2}],
        fields=[{"field": "customer_id", "header": "Member"}, {"field": "metadata.city", "header": "City"}],
        order=["-points_balance"],
        limit=2,
    )
    assert one.wanted == {"customer_id", "email", "points_balance", "metadata"}
    assert one.columns == (Column("Member", FieldType.ID), Column("City", FieldType.TEXT))
    assert run(one) == [("c1", "Paris"), ("c3", None)]


def test_only_what_a_step_reads_is_wanted(tmp_path):
    assert shape(tmp_path, fields=["tier"]).wanted == {"tier"}
    assert shape(tmp_path, fields=["tier"], order="metadata.city").wanted == {"tier", "metadata"}
    assert run(shape(tmp_path, fields=["tier"], limit=3)) == [("Gold",), ("Silver",), (None,)]


def test_groups_are_made_of_kept_rows_then_sorted_then_cut(tmp_path):
    groups = [
        {"field": "tier", "function": "group", "header": "Tier"},
        {"field": "customer_id", "function": "count", "header": "members"},
        {"field": "points_balance", "function": "sum"},
    ]
    one = shape(tmp_path, filters={"field": "tier", "has_value": True}, aggregation=groups)
    assert one.wanted == {"tier", "customer_id", "points_balance"}
    assert run(one) == [("Gold", 2, 700), ("Silver", 2, 400)]
    for order, limit, found in (
        (["points_balance"], None, [("Silver", 2, 400), ("Gold", 2, 700)]),
        (["-members", "-tier"], None, [("Silver", 2, 400), ("Gold", 2, 700)]),
        (["-sum of points_balance"], 1, [("Gold", 2, 700)]),
    ):
        more = {"order": order} | ({"limit": limit} if limit else {})
        assert (
            run(shape(tmp_path, filters={"field": "tier", "has_value": True}, aggregation=groups, **more))
            == found
        )


class Greeting:
    """A layout of two columns, one of which is made of a column that is not in it."""

    columns = (Column("Hello", FieldType.TEXT), Column("Tier", FieldType.TEXT))
    sources = {"Hello": "email", "Tier": "tier"}  # noqa: RUF012
    reads = frozenset(sources.values())
    default = ()

    def only(self, headers):
        made = Greeting()
        made.sources = {name: source for name, source in self.sources.items() if name in headers}
        made.reads = frozenset(made.sources.values())
        return made

    def apply(self, batch):
        return pa.record_batch({name: batch.column(source) for name, source in self.sources.items()})


def test_a_layout_takes_the_place_of_the_models_columns(tmp_path):
    asked = {"filters": {"field": "customer_id", "in": ["c1", "c4"]}, "order": ["points_balance"]}
    one = shape(tmp_path, layout=Greeting(), **asked)
    assert one.wanted == {"customer_id", "points_balance", "email", "tier"}
    assert run(one) == [("d@x", "Gold"), ("a@x", "Gold")]
    one = shape(tmp_path, layout=Greeting(), fields=[{"field": "Tier", "header": "T"}], **asked)
    assert one.columns == (Column("T", FieldType.TEXT),)
    assert one.wanted == {"customer_id", "points_balance", "tier"}, "what nobody chose is not read"
    assert run(one) == [("Gold",), ("Gold",)]


def test_privacy_comes_last(tmp_path):
    seen = []

    def protect(batch):
        seen.append(batch.schema.names)
        return batch.set_column(0, "E-mail", pa.nulls(len(batch), pa.string()))

    one = shape(tmp_path, protect=protect, fields=[{"field": "email", "header": "E-mail"}], order="email")
    assert run(one) == [(None,)] * 5
    assert seen == [["E-mail"]]


def test_a_filter_that_keeps_nothing_gives_no_batches(tmp_path):
    nothing = {"field": "tier", "is": "Iron"}
    for more in ({}, {"order": "tier"}, {"aggregation": [{"field": "tier", "function": "group"}]}):
        assert list(shape(tmp_path, filters=nothing, **more).apply(batches())) == []


@pytest.mark.parametrize(("limit", "expected"), [(1, [2]), (2, [2]), (3, [2, 2])])
def test_a_limit_reads_no_further_than_it_needs(limit, expected, tmp_path):
    read = []

    def counted():
        for batch in batches():
            read.append(len(batch))
            yield batch

    found = [len(batch) for batch in shape(tmp_path, limit=limit).apply(counted())]
    assert sum(found) == limit
    assert 0 not in found
    assert read == expected


@pytest.mark.parametrize(
    ("content", "messages"),
    [
        ({"filters": {"field": "level", "is": 1}, "fields": ["level"], "order": ["level"]},
         ["x.yaml: filters.field: 'level'", "x.yaml: fields[0].field: 'level'", "x.yaml: order[0]: 'level'"]),
        ({"aggregation": [{"field": "tier", "function": "group"}, {"field": "tier", "function": "sum"}], "order": ["x"]},
         ["x.yaml: aggregation[1].function: 'sum'"]),
        ({"aggregation": [{"field": "tier", "function": "group"}], "order": ["email"]}, ["x.yaml: order[0]: 'email'"]),
        ({"aggregation": [{"field": "tier", "function": "group"}], "layout": Greeting()}, ["x.yaml: aggregation: ''"]),
        ({"fields": ["email"], "layout": Greeting()}, ["x.yaml: fields[0].field: 'email'"]),
    ],
)  # fmt: skip
def test_all_that_is_wrong_comes_at_once(content, messages, tmp_path):
    one = shape(tmp_path, **content)
    assert [f"{problem.where}: {problem.value!r}" for problem in one.problems] == messages
    assert one.wanted <= {column.name for column in MODEL} | Greeting.reads
    with pytest.raises(BadInput):
        list(one.apply(batches()))
