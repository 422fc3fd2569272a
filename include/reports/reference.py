"""The generated reference of all models: docs/reference/models.md.

`python -m include.reports.reference` writes it; a test fails when it has drifted from the models.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from include.ledger.columns import Column
from include.ledger.fields import Field
from include.ledger.relations import RELATIONS
from include.reports import glossary, models
from include.reports.model import ReportModule

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "models.md"
_PERIODS = {
    "none": "About one instant T (`as_of`).",
    "optional": "A period, or all time before T.",
    "required": "Needs a period.",
}
_HEAD = """\
# Models

What an export can ask for as its `model`: reports, and every relation of the ledger. Made from the code:
`python -m include.reports.reference`.

A column that is *always* there is never null; every other may be. A personal column leaves only where a
definition names it, or says how it is protected. Points are exact decimals with at most two places, money has at
most four, instants are UTC; [ledger.md](ledger.md) says what each type holds.

Models of relations give the rows that came about before T, or in the period where the definition has one, by
the instant that is named with each; what happened to a record since then shows as it was when the ledger was
read. Rows of `transactions` are those known by K too. They leave in the order of their keys.
"""


def page() -> str:
    """Return the whole page."""
    return "\n".join([_HEAD, *_contents(), *(part for name in models.names() for part in _model(name))])


def every_column(model: ReportModule) -> tuple[Column, ...]:
    """Return all columns that a model has under any of its options, in order of first appearance."""
    found: dict[str, Column] = {}
    for options in variants(model):
        for column in model.columns(options):
            found.setdefault(column.name, column)
    return tuple(found.values())


def variants(model: ReportModule) -> Iterator[BaseModel]:
    """Yield the options of a model with every combination of the words that they offer, the defaults first."""
    choices: dict[str, list[Any]] = {}
    for name, field in model.Options.model_fields.items():
        words = [word for kind in _kinds(field.annotation) for word in get_args(kind)]
        several = get_origin(field.annotation) is tuple and bool(words)
        if words:
            choices[name] = [field.default, tuple(words)] if several else [field.default, *words]
    for chosen in product(*choices.values()):
        yield model.Options.model_validate(dict(zip(choices, chosen, strict=True)))


def _kinds(annotation: Any) -> Iterator[Any]:
    """Yield the Literal types inside an annotation."""
    if get_origin(annotation) is Literal:
        yield annotation
        return
    for inner in get_args(annotation):
        yield from _kinds(inner)


def _contents() -> Iterator[str]:
    rows = []
    for name in models.names():
        model = models.load(name, where="reference")
        rows.append((f"[`{name}`](#{name})", summary(model), _PERIODS[model.PERIOD]))
    yield from _table(("model", "what it is", "time"), rows)
    yield ""


def _model(name: str) -> Iterator[str]:
    model = models.load(name, where="reference")
    yield from (f"## {name}", "", _text(model), "", f"{_PERIODS[model.PERIOD]}{_by(name, model)}", "")
    options = [_option(key, field) for key, field in model.Options.model_fields.items()]
    if options:
        yield from (*_sentences(model.Options.__doc__), "")
        yield from _table(("option", "values", "default"), options)
        yield ""
    fields = [glossary.field(name, column.name) for column in every_column(model)]
    yield from _table(("field", "type", "always", "personal", "meaning"), map(_field, fields))
    yield ""


def _field(field: Field) -> tuple[str, ...]:
    values = f" One of {', '.join(f'`{value}`' for value in field.values)}." if field.values else ""
    always = "" if field.may_be_null else "yes"
    return f"`{field.name}`", field.type.value, always, "yes" if field.pii else "", field.meaning + values


def _option(name: str, field: FieldInfo) -> tuple[str, ...]:
    words = [word for kind in _kinds(field.annotation) for word in get_args(kind)]
    shown = ", ".join(f"`{word}`" for word in words)
    if get_origin(field.annotation) is tuple:
        shown = f"a list of {shown}" if words else "a list"
    default = field.get_default()
    return f"`{name}`", shown, "" if default in (None, ()) else f"`{_written(default)}`"


def _written(value: object) -> str:
    """Return a value as a definition would hold it."""
    if isinstance(value, BaseModel):
        return value.model_dump_json()
    return str(value).lower() if isinstance(value, bool) else str(value)


def _by(name: str, model: ReportModule) -> str:
    moment = RELATIONS[name].moment if name in RELATIONS else None
    return f" By `{moment}`." if moment and model.PERIOD != "none" else ""


def summary(model: ReportModule) -> str:
    """Return what a model is in one sentence, without its full stop."""
    if isinstance(model, ModuleType):
        [first, *_] = _sentences(model.__doc__)
        says = first.partition(": ")[2].partition(". ")[0].rstrip(".")
        return says[:1].upper() + says[1:]
    return RELATIONS[model.KIND].meaning.rstrip(".")


def _text(model: ReportModule) -> str:
    if isinstance(model, ModuleType):
        return "\n".join(_sentences(model.__doc__))
    return RELATIONS[model.KIND].meaning


def _sentences(document: str | None) -> list[str]:
    return [line.strip() for line in (document or "").strip().splitlines()]


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
