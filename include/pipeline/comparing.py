"""What is wrong with what a definition compares: the key of `compare`, and the totals that alerts look at.

Nothing of it would show before the second delivery, or ever: an alert on a total that no file has never comes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from include.definitions.content import Part
from include.definitions.model import ExportDefinition
from include.definitions.privacy import Privacy
from include.errors import Problem
from include.ledger.columns import Column
from include.ledger.fields import FieldType
from include.shaping.privacy import columns_after
from include.shaping.shape import Shape

_SUMMED = (FieldType.POINTS, FieldType.MONEY)


def written_columns(part: Part, shape: Shape) -> tuple[Column, ...]:
    """Return the columns of a part's file, after privacy."""
    return columns_after(part.privacy or Privacy(), shape.columns, shape.fields)


def compare_problems(part: Part, columns: Sequence[Column], place: str) -> Iterator[Problem]:
    """Yield what is wrong with the key by which files of these columns are compared."""
    if part.compare is None:
        return
    names = [column.name for column in columns]
    for index, name in enumerate(part.compare.key):
        if name not in names:
            right = f"is no column of the file; it has {', '.join(names)}"
            yield Problem(f"{place}compare.key[{index}]", name, right, "unknown_field")
    if not part.compare.key and not any(column.type is FieldType.ID for column in columns):
        right = f"the file has no column of ids: name the columns that tell rows apart, of {', '.join(names)}"
        yield Problem(f"{place}compare.key", "", right, "no_key")


def alert_problems(
    definition: ExportDefinition, columns: Mapping[str, Sequence[Column]], where: str
) -> Iterator[Problem]:
    """Yield what is wrong with alerts; columns: those of each part's file, by the part's id."""
    for index, alert in enumerate(definition.conditions.alerts):
        place = f"{where}: conditions.alerts[{index}]"
        if alert.export is not None and (not definition.exports or alert.export not in columns):
            known = (
                f"its exports are {', '.join(columns)}"
                if definition.exports
                else "leave it out: this is no pack"
            )
            yield Problem(f"{place}.export", alert.export, known, "unknown_export")
            continue
        asked = columns if alert.export is None else {alert.export: columns[alert.export]}
        totals = [each.name for some in asked.values() for each in some if each.type in _SUMMED]
        if alert.column not in totals:
            known = ", ".join(dict.fromkeys(totals)) or "none"
            right = f"is no column of points or money in the file; there are {known}"
            yield Problem(f"{place}.column", alert.column, right, "unknown_field")
