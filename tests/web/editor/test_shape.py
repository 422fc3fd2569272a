"""Every key that a definition or an option can have is a field of the form, made from the model itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydantic import BaseModel

from include import formats, kinds, targets
from include.definitions.model import ExportDefinition
from include.formats import encryption
from include.reports import models
from include.web.editor import shape
from include.web.editor.shape import ABSENT, ByKind, Group, Keyed, Leaf, Options, Rows

PACKAGES = {"targets": targets, "formats": formats, "encryption": encryption}
KINDS = [(package, kind) for package, module in PACKAGES.items() for kind in kinds.names(module)]
KINDS += [("models", name) for name in models.names()]


def options_of(package: str, kind: str) -> type[BaseModel]:
    module = (
        models.load(kind, where="") if package == "models" else kinds.load(PACKAGES[package], kind, where="")
    )
    return module.Options


def test_every_key_of_a_definition_is_a_field() -> None:
    assert set(shape.definition().fields) == set(ExportDefinition.model_fields)


@pytest.mark.parametrize(("package", "kind"), KINDS)
def test_every_option_of_every_kind_is_a_field(package: str, kind: str) -> None:
    group = shape.options(Options(package, "kind"), kind)
    assert isinstance(group, Group)
    assert set(group.fields) == set(options_of(package, kind).model_fields)


def test_fields_are_of_the_kind_that_their_type_asks_for() -> None:
    fields = shape.definition().fields
    assert fields["limit"] == Leaf("whole", fields["limit"].meaning, whole=True)
    assert fields["paused"].widget == "flag"
    assert fields["paused"].default is False
    assert fields["order"].widget == "lines"
    assert fields["filters"].widget == "json"
    assert isinstance(fields["targets"], Rows)
    assert isinstance(fields["privacy"].fields["fields"], Keyed)
    schedule = fields["schedule"]
    assert isinstance(schedule, ByKind)
    assert set(schedule.kinds) == {"once", "daily", "weekly", "monthly", "business_day", "quarter_end"}
    assert schedule.kinds["monthly"].fields["days"].choices[-2:] == ("31", "last")
    assert schedule.kinds["weekly"].fields["days"].choices[0] == "monday"
    email = shape.options(Options("targets", "kind"), "email").fields
    assert email["to"] == Leaf("lines", "Addresses of the recipients.", required=True)
    assert email["attach"].usual == "auto"
    assert email["text"].widget == "long"
    accounts = shape.options(Options("models", "model"), "journal").fields["accounts"]
    assert accounts.fields["liability"].fields["name"].usual == "Loyalty points liability"


def test_a_layout_decides_what_is_usual_of_its_model() -> None:
    node = Options("models", "model")
    assert shape.options(node, "history").fields["profile"].default == "default"
    layouts = {name: layout for name, layout in shape.layouts.layouts().items() if layout.options}
    for name, layout in layouts.items():
        group = shape.options(node, layout.model, name)
        for key, value in layout.options.items():
            assert group.fields[key].default == value, name


def test_what_nobody_knows_is_typed_as_json() -> None:
    assert shape.options(Options("targets", "kind"), "carrier_pigeon").widget == "json"
    assert shape.options(Options("formats", "format"), "../x").widget == "json"


def test_every_field_has_a_meaning_or_a_name_that_says_it() -> None:
    def leaves(node: object) -> Iterator[Leaf]:
        if isinstance(node, Leaf):
            yield node
        elif isinstance(node, Group):
            for inner in node.fields.values():
                yield from leaves(inner)
        elif isinstance(node, (Rows, Keyed)):
            yield from leaves(node.item)
        elif isinstance(node, ByKind):
            for inner in node.kinds.values():
                yield from leaves(inner)

    found = list(leaves(shape.definition()))
    assert len(found) > 60
    assert all(leaf.meaning for leaf in found if not leaf.choices)
    assert all(leaf.default is ABSENT or not leaf.required for leaf in found)
