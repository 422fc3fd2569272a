"""What differs between two versions of a definition: field by field in words, and as lines of YAML.

Definitions come as documents (`ExportDefinition.document`), so that what an earlier version of this program wrote can
be compared too. Items of a list are told apart by what they are called, not by their place.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from include.definitions.writing import as_yaml

NOT_SET = "not set"
# What tells items of a list apart, the first that they have.
_NAMES = ("id", "name", "field", "column", "kind")
# These are trees; a part of one says nothing by itself.
_WHOLE = frozenset({"filters"})
_LONGEST_VALUE = 400
_MISSING = object()


class Difference(NamedTuple):
    """One field that differs: what it is called, and its value before and after, as texts."""

    field: str
    before: str
    after: str


class Line(NamedTuple):
    """One line of YAML, in both versions or in one."""

    kind: Literal["same", "added", "removed", "gap"]
    text: str


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Difference, ...]:
    """Return every field that differs, in the order of the fields; what is only there is `not set` before."""
    return tuple(_of_mappings(before, after, ()))


def _of_mappings(
    before: Mapping[str, Any], after: Mapping[str, Any], path: tuple[str, ...]
) -> Iterator[Difference]:
    for key in dict.fromkeys([*before, *after]):
        then, now = before.get(key, _MISSING), after.get(key, _MISSING)
        if then != now:
            yield from _of_values(then, now, (*path, key.replace("_", " ")))


def _of_values(then: Any, now: Any, path: tuple[str, ...]) -> Iterator[Difference]:
    if path[-1] not in _WHOLE:
        mappings = [each for each in (then, now) if isinstance(each, Mapping)]
        if mappings and all(isinstance(each, Mapping) or each is _MISSING for each in (then, now)):
            yield from _of_mappings(_or_empty(then), _or_empty(now), path)
            return
        if _is_items(then) and _is_items(now):
            yield from _of_items(then, now, path)
            return
    yield Difference(_called(path), _shown(then), _shown(now))


def _or_empty(value: Any) -> Mapping[str, Any]:
    return {} if value is _MISSING else dict(value)


def _is_items(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, Mapping) for each in value)


def _of_items(
    before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]], path: tuple[str, ...]
) -> Iterator[Difference]:
    then, now = _named(before), _named(after)
    common = [name for name in then if name in now]
    if common != (moved := [name for name in now if name in then]):
        yield Difference(_called((*path, "order")), ", ".join(common), ", ".join(moved))
    for name in dict.fromkeys([*then, *now]):
        place = (*path[:-1], f"{path[-1].removesuffix('s')} {name}")
        if name in then and name in now:
            yield from _of_mappings(then[name], now[name], place)
        else:
            yield Difference(_called(place), _item(then.get(name)), _item(now.get(name)))


def _named(items: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return the items by what they are called; of several with one name the later ones have a number."""
    found: dict[str, Mapping[str, Any]] = {}
    for each in items:
        name = next((str(each[key]) for key in _NAMES if each.get(key)), "item")
        number = 2
        called = name
        while called in found:
            called, number = f"{name} ({number})", number + 1
        found[called] = each
    return found


def _item(item: Mapping[str, Any] | None) -> str:
    """Return an item in one line: `kind folder, options folder delivered/finance`."""
    if item is None:
        return NOT_SET
    return _short(", ".join(" ".join([*path, text]) for path, text in _leaves(item)))


def _leaves(item: Mapping[str, Any], *path: str) -> Iterator[tuple[tuple[str, ...], str]]:
    for key, value in item.items():
        place = (*path, key.replace("_", " "))
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, *place)
        else:
            yield place, _shown(value)


def _called(path: tuple[str, ...]) -> str:
    text = ", ".join(path)
    return text[:1].upper() + text[1:]


def _shown(value: Any) -> str:
    if value is _MISSING:
        return NOT_SET
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and not any(isinstance(each, (Mapping, list)) for each in value):
        return _short(", ".join(str(each) for each in value))
    if isinstance(value, (Mapping, list)):
        return _short(json.dumps(value, ensure_ascii=False))
    return _short(str(value))


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"


def yaml_lines(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Line, ...]:
    """Return the lines of YAML that differ, with three around them; a gap stands for lines that are left out."""
    old, new = as_yaml(before).splitlines(), as_yaml(after).splitlines()
    kinds: dict[str, Literal["same", "added", "removed", "gap"]] = {
        " ": "same",
        "+": "added",
        "-": "removed",
        "@": "gap",
    }
    found = list(difflib.unified_diff(old, new, lineterm="", n=3))[2:]
    return tuple(
        Line(kinds[each[0]], "" if each[0] == "@" else each[1:])
        for number, each in enumerate(found)
        if number or each[0] != "@"
    )
