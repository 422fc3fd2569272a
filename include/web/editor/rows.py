"""Rows of the form (targets, columns, alerts): added, removed, moved, and numbered anew, on the texts of the form."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from include.web.editor.bounds import MOST_ROWS
from include.web.editor.form import GIVEN, Values
from include.web.editor.switching import WAS

# A row counts only when something stands in one of these; the other fields of a row have a value from the start.
TELLING: Mapping[str, tuple[str, ...]] = {
    "fields": ("field", "header"),
    "aggregation": ("field", "header"),
    "privacy.fields": ("field",),
    "conditions.alerts": ("column", "moved_more_than", "export"),
    "notify.rules": ("kind",),
    "targets": ("kind",),
}
_NESTED = re.compile(r"targets\.\d{1,5}\.options\.create\.share_with")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,4}", re.ASCII)


def numbers(values: Values, prefix: str) -> list[int]:
    """Return the numbers of the rows of a list, in order."""
    start = f"{prefix}."
    found = {name[len(start) :].partition(".")[0] for name in values if name.startswith(start)}
    return sorted(int(number) for number in found if _NUMBER.fullmatch(number))


def is_list(prefix: str) -> bool:
    """Say whether the form has a list of rows of that name."""
    return prefix in TELLING or _NESTED.fullmatch(prefix) is not None


def added(values: Values, prefix: str) -> Values:
    """Return the texts with one more row, which is empty."""
    there = numbers(values, prefix)
    if len(there) >= MOST_ROWS:
        return values
    key = TELLING.get(prefix, ("address",))[0]
    return values | {f"{prefix}.{there[-1] + 1 if there else 0}.{key}": [""]}


def removed(values: Values, prefix: str, number: int) -> Values:
    """Return the texts without a row; those after it move up."""
    return _numbered(values, prefix, [row for row in numbers(values, prefix) if row != number])


def moved(values: Values, prefix: str, number: int, by: int) -> Values:
    """Return the texts with a row some places further down, or up."""
    order = numbers(values, prefix)
    if number in order:
        at = order.index(number)
        order.insert(max(0, at + by), order.pop(at))
    return _numbered(values, prefix, order)


def compact(values: Values) -> Values:
    """Return the texts without the rows in which nothing stands, every list numbered from 0."""
    nested = {match[0] for name in values if (match := _NESTED.match(name))}
    for prefix in (*sorted(nested), *TELLING):
        telling = TELLING.get(prefix, ("address",))
        told = [
            row
            for row in numbers(values, prefix)
            if any(text for key in telling for text in values.get(f"{prefix}.{row}.{key}", ()))
        ]
        values = _numbered(values, prefix, told)
    return values


def changed(values: Values, asked: str) -> Values:
    """Return the texts after what a button asks for: `add:targets`, `remove:targets.0`, `up:fields.2`, `down:fields.2`.

    Anything else changes nothing.
    """
    does: Mapping[str, Callable[[str, int], Values]] = {
        "remove": lambda prefix, row: removed(values, prefix, row),
        "up": lambda prefix, row: moved(values, prefix, row, -1),
        "down": lambda prefix, row: moved(values, prefix, row, 1),
    }
    word, _, place = asked.partition(":")
    if word == "add" and is_list(place):
        return added(values, place)
    prefix, _, row = place.rpartition(".")
    if word in does and is_list(prefix) and _NUMBER.fullmatch(row):
        return does[word](prefix, int(row))
    return values


def _numbered(values: Values, prefix: str, order: list[int]) -> Values:
    """Return the texts with these rows of a list, in this order, numbered from 0."""
    place = {str(old): str(new) for new, old in enumerate(order)}
    found: Values = {}
    for name, texts in values.items():
        new = _renamed(name, prefix, place)
        if name in (GIVEN, WAS):
            found[name] = list(_given(texts, prefix, place))
        elif new is not None:
            found[new] = texts
    return found


def _renamed(name: str, prefix: str, place: Mapping[str, str]) -> str | None:
    if not name.startswith(f"{prefix}."):
        return name
    row, dot, rest = name[len(prefix) + 1 :].partition(".")
    if not _NUMBER.fullmatch(row):
        return name
    return f"{prefix}.{place[row]}{dot}{rest}" if row in place else None


def _given(texts: list[str], prefix: str, place: Mapping[str, str]) -> Iterator[str]:
    for text in texts:
        name, equals, value = text.partition("=")
        new = _renamed(name, prefix, place)
        if new is not None:
            yield f"{new}{equals}{value}"
