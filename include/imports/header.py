"""The first row of a file: which column is which field of a mode, and what to rename where none is.

Case, blanks, `-` and `_` of a header do not count, so that `Customer ID` is `customer_id`, except for fields that
a mode wants exactly.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any

from include.errors import Problem
from include.formats.csv import restore
from include.imports.modes.mode import ModeFile

DELIMITERS = {",": "", ";": "separated by semicolons", "\t": "separated by tabs", "|": "separated by |"}
_BLANKS = str.maketrans("", "", " _-")
_ALIKE = 0.8  # of 1: `expirydat` for `expirydate`


@dataclass(frozen=True)
class Header:
    """columns: by field, its place in the row. names: the headers as written. ignored: those that no field reads."""

    names: tuple[str, ...]
    columns: dict[str, int]
    ignored: tuple[str, ...]


def split(line: str, mode: ModeFile) -> tuple[list[str], str]:
    """Return the cells of a text file's first row, and the delimiter: the one that gives most headers of the mode.

    Raises ValueError where the row is not CSV by any delimiter.
    """
    rows = [(cells, mark) for mark in DELIMITERS if (cells := _cells(line, mark)) is not None]
    known = _by_header(mode)
    return max(
        rows, key=lambda row: (len({known.get(plain(cell)) for cell in row[0]} - {None}), len(row[0]) > 1)
    )


def _cells(line: str, delimiter: str) -> list[str] | None:
    try:
        return next(csv.reader(io.StringIO(line), delimiter=delimiter, strict=True), [])
    except csv.Error:
        return None


def plain(header: str) -> str:
    """Return a header without what does not count."""
    return restore(header.strip()).casefold().translate(_BLANKS)


def header_of(cells: Sequence[str], mode: ModeFile, name: str) -> tuple[Header, list[Problem]]:
    """Return what each column is, and all that is wrong with the header of the file `name`."""
    names = tuple(restore(cell.strip()) for cell in cells)
    known, columns, where = _by_header(mode), dict[str, int](), f"{name}: header"
    problems = _doubled(names, where)
    ignored, close = [], []
    for place, header in enumerate(names):
        field = known.get(plain(header))
        if field is None:
            ignored.append(header)
            close += _unknown(header, mode, where)
        elif field in mode.exact and header not in mode.fields[field]:
            close.append(_exact(header, mode.fields[field][0], where))
        elif field in columns and plain(names[columns[field]]) != plain(header):
            right = f"means the same as {names[columns[field]]}; remove one of them, or give it another name"
            problems.append(Problem(where, header, right, "header_doubled"))
        else:
            columns.setdefault(field, place)
    missing = [] if close else _missing(columns, names, mode, where)
    return Header(names, columns, tuple(header for header in ignored if header)), problems + close + missing


def _by_header(mode: ModeFile) -> dict[str, str]:
    return {plain(header): field for field, headers in mode.fields.items() for header in headers}


def _doubled(names: Sequence[str], where: str) -> list[Problem]:
    counts = Counter(plain(header) for header in names if header)
    twice = {plain(header): header for header in names if counts[plain(header)] > 1}
    right = "stands more than once; keep one column of that name"
    return [Problem(where, header, right, "header_doubled") for header in twice.values()]


def _unknown(header: str, mode: ModeFile, where: str) -> list[Problem]:
    """Say what a header that is no field's should be, where it seems to be meant for one."""
    name = plain(header)
    advice = {plain(wrong): right for wrong, right in mode.renamed.items()}
    if name in advice:
        return [Problem(where, header, advice[name], "header_wrong")]
    loose = {plain(one)[: plain(one).find("(")]: one for field in mode.exact for one in mode.fields[field]}
    if name.split("(")[0] in loose:
        return [_exact(header, loose[name.split("(")[0]], where)]
    if name in _of_exports():
        return []
    accepted = {plain(one): one for headers in mode.fields.values() for one in headers}
    alike = get_close_matches(name, accepted, 1, _ALIKE)
    right = (
        f"is no column of this import; did you mean {accepted[alike[0]]}? Else give it another name"
        if alike
        else ""
    )
    return [Problem(where, header, right, "header_misspelled")] if alike else []


def _exact(header: str, wanted: str, where: str) -> Problem:
    return Problem(where, header, f"rename this column to {wanted}, exactly", "header_wrong")


def _missing(columns: dict[str, int], names: Sequence[str], mode: ModeFile, where: str) -> list[Problem]:
    shown = ", ".join(names)
    if not columns:
        right = f"the first row must name the columns, such as {', '.join(mode.example[0])}"
        return [Problem(where, shown, right, "header_missing")]
    return [
        Problem(where, shown, f"a column is missing: {_listed(fields, mode)}", "column_missing")
        for fields in mode.required
        if not any(field in columns for field in fields)
    ]


def _listed(fields: Sequence[str], mode: ModeFile) -> str:
    return " or ".join(
        mode.fields[field][0] for field in fields if field != "holder_id"
    )  # only exports have it


@cache
def _of_exports() -> frozenset[str]:
    """Return the headers of all our own exports: an edited one has many that an import does not read."""
    from include.layouts.layout import layouts

    columns: Any = [layout.columns for layout in layouts().values()]
    return frozenset(plain(column.name) for some in columns for column in some)
