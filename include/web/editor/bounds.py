"""How large a form may be, said before anything is done with it: what is larger would take minutes, or all memory."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from include.definitions.document import MAX_DEPTH
from include.errors import BadInput, Problem

# Lists with a row for each column; what others may hold (targets, alerts, rules) the model refuses much earlier.
OF_COLUMNS = frozenset({"fields", "aggregation", "privacy.fields"})
MOST_ROWS, MOST_OTHER_ROWS = 2000, 100
LONGEST_NAME = 200  # characters of a field's name; work grows with the square of its steps
_SHOWN = 40
_STEP = re.compile(r"\.(\d{1,5})(?=\.|$)", re.ASCII)


def refuse_unbounded(names: Iterable[str]) -> None:
    """Raise BadInput for names that no field has, and for more rows than a page can show."""
    rows: dict[str, set[str]] = {}
    problems = []
    for name in names:
        if len(name) > LONGEST_NAME:
            problems = [Problem("form", f"{name[:_SHOWN]}...", "is no field of this form", "unknown_field")]
            continue
        for step in _STEP.finditer(name):
            rows.setdefault(name[: step.start()], set()).add(step[1])
    for prefix, found in rows.items():
        most = MOST_ROWS if prefix in OF_COLUMNS else MOST_OTHER_ROWS
        if len(found) > most:
            right = f"must be at most {most:,}"
            problems.append(Problem(prefix, f"{len(found):,} rows", right, "too_many_rows"))
    if problems:
        raise BadInput(problems)


def is_deep(value: Any) -> bool:
    """Say whether a value is deeper than any definition may be."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
    return bool(level)
