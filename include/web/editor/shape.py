"""What a definition can hold, as the fields of a form: read from the pydantic models, so that a new key has a field.

The same models check what was typed; nothing here says what is right.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from include import formats, kinds, targets
from include.definitions.model import ExportDefinition
from include.errors import BadInput
from include.formats import encryption
from include.layouts import layout as layouts
from include.reports import models

ABSENT: Any = type("Absent", (), {"__repr__": lambda _self: "ABSENT"})()
Widget = Literal["text", "long", "whole", "flag", "choice", "several", "lines", "pairs", "json", "yaml"]
DAYS_OF_MONTH = (*(str(day) for day in range(1, 32)), "last")


@dataclass(frozen=True)
class Leaf:
    """One value. whole: texts that are whole numbers stand for numbers. usual: what holds when it is left out."""

    widget: Widget
    meaning: str = ""
    default: Any = ABSENT
    required: bool = False
    choices: tuple[str, ...] = ()
    whole: bool = False
    usual: str = ""


@dataclass(frozen=True)
class Group:
    """A mapping of known keys. optional: it may be left out, and is then nothing at all."""

    fields: Mapping[str, Node]
    meaning: str = ""
    optional: bool = False


@dataclass(frozen=True)
class ByKind:
    """A mapping whose keys depend on its `kind`."""

    kinds: Mapping[str, Group]
    meaning: str = ""


@dataclass(frozen=True)
class Rows:
    """A list of mappings."""

    item: Group | ByKind
    meaning: str = ""


@dataclass(frozen=True)
class Keyed:
    """A mapping of names that people choose; in the form rows, whose `field` is the name."""

    item: Group
    meaning: str = ""


@dataclass(frozen=True)
class Options:
    """The options of a kind that the key `by` beside it names."""

    package: Literal["formats", "targets", "models", "encryption"]
    by: str
    meaning: str = ""


Node: TypeAlias = Leaf | Group | ByKind | Rows | Keyed | Options
_PACKAGES = {"formats": formats, "targets": targets, "encryption": encryption}
_OPTIONS: Mapping[tuple[str, str], Options] = {
    ("ExportDefinition", "options"): Options("models", "model"),
    ("File", "options"): Options("formats", "format"),
    ("FileEncryption", "options"): Options("encryption", "kind"),
    ("Target", "options"): Options("targets", "kind"),
}
# What the models do not say: how something is best typed.
_OWN: Mapping[tuple[str, str], Leaf] = {
    ("ExportDefinition", "description"): Leaf("long", default=""),
    ("ExportDefinition", "exports"): Leaf("yaml"),
    ("ExportDefinition", "filters"): Leaf("json"),
    ("Monthly", "days"): Leaf("several", choices=DAYS_OF_MONTH, whole=True, required=True),
    ("Monthly", "months"): Leaf("several", choices=tuple(str(month) for month in range(1, 13)), whole=True),
}
_CHOICES: Mapping[tuple[str, str], Any] = {
    ("File", "format"): formats,
    ("FileEncryption", "kind"): encryption,
    ("Target", "kind"): targets,
}
_LONG = 1000  # characters from which a text is better typed into several lines


@cache
def definition() -> Group:
    """Return the fields of a whole definition."""
    return _group(ExportDefinition)


def options(node: Options, kind: str, layout: str = "") -> Group | Leaf:
    """Return the options of one kind; those of a kind that does not exist are one value, typed as JSON.

    layout: of a model's options, the layout whose own options then hold when they are left out.
    """
    try:
        group = _options(node.package, kind)
    except BadInput:
        return Leaf("json", node.meaning)
    if node.package != "models" or layout not in layouts.layouts():
        return group
    needed = layouts.layouts()[layout].options
    fields = {
        name: replace(leaf, default=_plain(needed[name]))
        if name in needed and isinstance(leaf, Leaf)
        else leaf
        for name, leaf in group.fields.items()
    }
    return replace(group, fields=fields)


def foreign(node: Options, key: str) -> bool:
    """Say whether another kind of the package has an option of that name: then it was typed before the kind changed."""
    names = models.names() if node.package == "models" else kinds.names(_PACKAGES[node.package])
    return any(key in _options(node.package, name).fields for name in names)


@cache
def _options(package: str, kind: str) -> Group:
    module = (
        models.load(kind, where="model")
        if package == "models"
        else kinds.load(_PACKAGES[package], kind, where="kind")
    )
    return _group(module.Options)


def _group(model: type[BaseModel], *, optional: bool = False, usual: BaseModel | None = None) -> Group:
    fields = {
        name: _node(model, name, info, getattr(usual, name, None))
        for name, info in model.model_fields.items()
    }
    return Group(fields, _sentence(model.__doc__), optional)


def _node(model: type[BaseModel], name: str, info: FieldInfo, usual: Any) -> Node:
    place, meaning = (model.__name__, name), _sentence(info.description)
    default = _default(info)
    if place in _OPTIONS:
        return replace(_OPTIONS[place], meaning=meaning)
    if place in _OWN:
        return replace(_OWN[place], meaning=meaning)
    if place in _CHOICES:
        choices = kinds.names(_CHOICES[place])
        usual = default if isinstance(default, str) else ""
        return Leaf("choice", meaning, default, info.is_required(), choices, usual=usual)
    bare, optional = _bare(info.annotation)
    instance = info.get_default(call_default_factory=False)
    node = _of(bare, optional=optional, usual=instance if isinstance(instance, BaseModel) else None)
    if not isinstance(node, Leaf):
        return replace(node, meaning=meaning or node.meaning)
    shown = usual if usual is not None else default
    if isinstance(shown, (str, int)) and not isinstance(shown, bool):
        node = replace(node, usual=str(shown))
    if node.widget == "text" and any(
        (getattr(each, "max_length", None) or 0) > _LONG for each in _limits(info)
    ):
        node = replace(node, widget="long")
    return replace(node, meaning=meaning, default=default, required=info.is_required())


def _of(annotation: Any, *, optional: bool, usual: BaseModel | None = None) -> Node:
    """Return the field of a type that is neither optional nor annotated itself."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _group(annotation, optional=optional, usual=usual)
    members = [_bare(each)[0] for each in inner] if origin in (Union, types.UnionType) else []
    if members and all(isinstance(each, type) and issubclass(each, BaseModel) for each in members):
        return ByKind({kind: _group(member) for member in members for kind in _kind(member)})
    if origin in (list, tuple):
        return _several(_bare(inner[0])[0])
    if origin is dict:
        return _mapping(_bare(inner[1])[0])
    if origin is Literal:
        return Leaf("choice", choices=tuple(str(each) for each in inner))
    return Leaf(
        "flag" if annotation is bool else "whole" if annotation is int else "text", whole=annotation is int
    )


def _several(item: Any) -> Node:
    if get_origin(item) is Literal:
        return Leaf("several", choices=get_args(item))
    node = _of(item, optional=False)
    if isinstance(node, (Group, ByKind)):
        return Rows(node)
    return Leaf("lines", whole=item is int)


def _mapping(value: Any) -> Node:
    if isinstance(value, type) and issubclass(value, BaseModel):
        inner = _group(value)
        name = Leaf("text", "The field.", required=True)
        return Keyed(Group({"field": name, **inner.fields}, inner.meaning))
    return Leaf("pairs" if value is str else "json")


def _bare(annotation: Any) -> tuple[Any, bool]:
    """Return a type without annotations, and without None; and whether None was one of its members."""
    annotation = getattr(annotation, "__value__", annotation)
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        members = [each for each in get_args(annotation) if each is not types.NoneType]
        optional = len(members) < len(get_args(annotation))
        if len(members) == 1:
            return _bare(members[0])[0], optional
        return Union[tuple(members)], optional  # noqa: UP007 - the members are only known here
    return annotation, False


def _kind(model: type[BaseModel]) -> tuple[str, ...]:
    return get_args(model.model_fields["kind"].annotation)


def _limits(info: FieldInfo) -> list[Any]:
    inner = get_args(info.annotation)[1:] if get_origin(info.annotation) is Annotated else ()
    return [*info.metadata, *inner]


def _default(info: FieldInfo) -> Any:
    """Return the value that a key which is left out has, as a document would hold it."""
    if info.is_required():
        return ABSENT
    value = _plain(info.get_default(call_default_factory=True, validated_data={}))
    return ABSENT if value is None else value


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return ABSENT
    return [_plain(each) for each in value] if isinstance(value, (list, tuple)) else value


def _sentence(text: str | None) -> str:
    return " ".join((text or "").split())
