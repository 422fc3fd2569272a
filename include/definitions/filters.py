"""The filter of an export: conditions on fields, joined by `all` and `any`, as a typed tree.

Nothing here ever becomes a statement of any language: a value is a value, whatever it looks like. How rows with
null are treated: null fulfils `is_unknown` and the negative operators (`not_in`, `is_not`, `not_contain`), and
nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from pydantic import (
    Field,
    GetJsonSchemaHandler,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
    create_model,
    model_validator,
)
from pydantic_core import CoreSchema

from include.definitions import voucherify_filters
from include.definitions.base import Strict, refuse
from include.definitions.fields import column_of, known
from include.definitions.names import FieldName
from include.definitions.operators import OPERATORS, Operator, words_for
from include.definitions.segments import Interval, Segment
from include.definitions.values import Raw, WrongValue, typed
from include.errors import Problem
from include.ledger.columns import Column

MAX_DEPTH = 10


def _values(value: object) -> tuple[Raw, ...]:
    """One value, or a list of them; the same value twice counts once."""
    given = value if isinstance(value, (list, tuple)) else [value]
    if not given:
        raise refuse("no_value", "needs at least one value; an empty list keeps nothing")
    if any(item is None for item in given):
        raise refuse("null_value", "null is no value; ask for it with is_unknown: true")
    found: dict[tuple[type, Raw], Raw] = {}
    for item in given:
        if not isinstance(item, (str, int, float)):
            raise refuse("bad_value", "must be text, a number, true or false, or a list of these")
        found[type(item), item] = item
    return tuple(found.values())


def _flag(value: object) -> tuple[Raw, ...]:
    if value is not True and value != (True,):
        raise refuse("bad_value", "must be true; has_value and is_unknown are each other's opposite")
    return (True,)


def _document(values: tuple[Raw, ...] | None) -> Any:
    return values[0] if values is not None and len(values) == 1 else values


_SCALARS: list[dict[str, Any]] = [{"type": "string"}, {"type": "number"}, {"type": "boolean"}]
_Values = Annotated[
    tuple[Raw, ...],
    PlainValidator(_values),
    PlainSerializer(_document),
    WithJsonSchema({"anyOf": [*_SCALARS, {"type": "array", "minItems": 1, "items": {"anyOf": _SCALARS}}]}),
]
_Flag = Annotated[
    tuple[Raw, ...], PlainValidator(_flag), PlainSerializer(_document), WithJsonSchema({"const": True})
]


def _key(operator: Operator) -> Any:
    kind = _Flag if operator.takes == "nothing" else _Values
    # Left out is None, but a null that somebody wrote is refused, never passed over.
    return (kind, Field(None, description=f"With `field`: the field {operator.meaning}."))


# One optional key for each operator; some of them are words of Python, so that a class body cannot name them.
_Conditions: Any = create_model(
    "_Conditions", __base__=Strict, **{word: _key(operator) for word, operator in OPERATORS.items()}
)


class Filter(_Conditions):
    """One of four: `all` or `any` of some filters, a `field` with operators that must all hold, a `segment`."""

    all: list[Filter] | None = Field(None, min_length=1)
    """Every one of these must hold."""
    any: list[Filter] | None = Field(None, min_length=1)
    """At least one of these must hold."""
    field: FieldName | None = None
    """The field that the operators beside it look at; `metadata.city` is one property of a JSON field."""
    segment: Segment | None = None
    """A ready-made filter by name."""

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: object) -> object:
        if _depth(value) > MAX_DEPTH:
            raise refuse("too_deep", f"must be at most {MAX_DEPTH} levels of all and any deep")
        if isinstance(value, list):
            return {"all": value}
        return voucherify_filters.read(value) if voucherify_filters.looks_like_one(value) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Return a schema that knows every way to write a filter; a list alone is written as `all` is."""
        tree = handler.resolve_ref_schema(handler(core))
        return {"anyOf": [tree, tree["properties"]["all"]["anyOf"][0], voucherify_filters.SCHEMA]}

    @model_validator(mode="after")
    def _one_kind(self) -> Filter:
        given = [name for name in ("all", "any", "field", "segment") if getattr(self, name) is not None]
        if len(given) != 1:
            right = "must have one of all, any, field and segment"
            raise refuse("bad_filter", f"{right}, not {' and '.join(given)}" if given else right)
        if given == ["field"] and not self.tests:
            raise refuse("no_operator", f"needs an operator, one of {', '.join(OPERATORS)}")
        if given != ["field"] and self.tests:
            raise refuse("operator_without_field", f"{self.tests[0][0].word} needs a field beside it")
        return self

    @property
    def tests(self) -> tuple[tuple[Operator, tuple[Raw, ...]], ...]:
        """The operators beside the field with their values, in the order of the table."""
        given = ((operator, getattr(self, word)) for word, operator in OPERATORS.items())
        return tuple((operator, values) for operator, values in given if values is not None)


def fields_of(filter_: Filter, columns: Sequence[Column] = ()) -> frozenset[str]:
    """Return the fields that a filter looks at, a segment's as far as `columns` decide which."""
    if filter_.segment is not None:
        found = filter_.segment.field(column.name for column in columns)
        return frozenset([found] if found else filter_.segment.kind.fields)
    if filter_.field is not None:
        return frozenset([filter_.field])
    return frozenset().union(*(fields_of(part, columns) for part in filter_.all or filter_.any or ()))


def segments(filter_: Filter, where: str) -> Iterator[tuple[str, Segment]]:
    """Yield the segments of a filter, each with its place."""
    if filter_.segment is not None:
        yield f"{where}.segment", filter_.segment
    for name in ("all", "any"):
        for index, part in enumerate(getattr(filter_, name) or ()):
            yield from segments(part, f"{where}.{name}[{index}]")


def plain(filter_: Filter, columns: Sequence[Column], run: Interval | None) -> Filter:
    """Return the filter with its segments written out over fields of `columns`, which must have them."""
    if filter_.segment is not None:
        field = filter_.segment.field(column.name for column in columns)
        assert field is not None, "problems() comes first"
        return Filter.model_validate(filter_.segment.document(field, run))
    for name in ("all", "any"):
        if (parts := getattr(filter_, name)) is not None:
            return filter_.model_copy(update={name: [plain(part, columns, run) for part in parts]})
    return filter_


def problems(filter_: Filter, columns: Sequence[Column], *, where: str = "filters") -> list[Problem]:
    """Return all that is wrong for these columns: unknown fields, operators not for a type, wrong values."""
    return list(_problems(filter_, columns, where))


def _problems(filter_: Filter, columns: Sequence[Column], where: str) -> Iterator[Problem]:
    if filter_.segment is not None:
        yield from _segment_problems(filter_.segment, columns, f"{where}.segment")
    elif filter_.field is not None:
        yield from _field_problems(filter_, columns, where)
    else:
        name = "all" if filter_.all is not None else "any"
        for index, part in enumerate(getattr(filter_, name)):
            yield from _problems(part, columns, f"{where}.{name}[{index}]")


def _segment_problems(segment: Segment, columns: Sequence[Column], where: str) -> Iterator[Problem]:
    field = segment.field(column.name for column in columns)
    if field is None:
        needed = " or ".join(segment.kind.fields)
        yield Problem(where, segment.name, f"needs the field {needed}, which is not here", "missing_field")
        return
    filter_ = Filter.model_validate(segment.document(field, None))
    for problem in problems(filter_, columns):
        yield Problem(where, problem.value, problem.right, problem.code)


def _field_problems(filter_: Filter, columns: Sequence[Column], where: str) -> Iterator[Problem]:
    assert filter_.field is not None
    column = column_of(columns, filter_.field)
    if column is None:
        yield Problem(f"{where}.field", filter_.field, known(columns), "unknown_field")
        return
    for operator, values in filter_.tests:
        place = f"{where}.{operator.word}"
        if column.type not in operator.types:
            right = f"{filter_.field} is {column.type.value}, for which there are {', '.join(words_for(column.type))}"
            yield Problem(place, operator.word, right, "operator_not_for_type")
        elif len(values) > operator.most:
            right = f"{operator.word} takes {'one value' if operator.most == 1 else f'{operator.most} values'} at most"
            yield Problem(place, f"{len(values)} values", right, "too_many_values")
        elif operator.takes != "nothing":
            yield from _value_problems(filter_.field, column, operator, values, place)


def _value_problems(
    field: str, column: Column, operator: Operator, values: tuple[Raw, ...], where: str
) -> Iterator[Problem]:
    several = len(values) > 1
    for index, value in enumerate(values):
        try:
            typed(value, operator, column.type)
        except WrongValue as wrong:
            place = f"{where}[{index}]" if several else where
            shown = str(value).lower() if isinstance(value, bool) else str(value)
            yield Problem(place, shown, f"{field} is {column.type.value}: {wrong.right}", "wrong_value")


def _depth(value: object) -> int:
    """Return how many levels of all and any there are, counted no further than one too many."""
    level: list[object] = [value]
    for depth in range(MAX_DEPTH + 2):
        inner: list[object] = []
        for one in level:
            document = {"all": one} if isinstance(one, list) else one
            if isinstance(document, dict):
                parts = [document.get("all"), document.get("any")]
                inner += [part for some in parts if isinstance(some, list) for part in some]
        if not inner:
            return depth
        level = inner
    return MAX_DEPTH + 1
