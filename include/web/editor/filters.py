"""What is wrong with a filter while it is being built, each problem with the way to its row in the tree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from include.definitions import filters
from include.definitions.filters import Filter
from include.definitions.problems import problems_of
from include.errors import Problem
from include.ledger.columns import Column
from include.ledger.fields import FieldType
from include.web.editor.fields import of_model
from include.web.editor.problems import SAID

WHERE = "filters"


def wrong(document: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the problems of a document's filter: `path` such as `all[0].any[1].more_than`, and what would be right."""
    given = document.get(WHERE)
    if given is None:
        return []
    try:
        tree = Filter.model_validate(given)
    except ValidationError as error:
        return [_shown(problem) for problem in problems_of(error, Filter, where=WHERE)]
    fields = of_model(document)
    columns = [Column(field.name, FieldType(field.type), field.pii) for field in fields]
    # Without a sound model there are no columns to look for.
    return [_shown(problem) for problem in filters.problems(tree, columns, where=WHERE)] if columns else []


def _shown(problem: Problem) -> dict[str, str]:
    path = problem.where.removeprefix(WHERE).lstrip(":. ")
    right = SAID.get(problem.code, problem.right)
    return {"path": path, "right": right[:1].upper() + right[1:] + ("" if right.endswith(".") else ".")}
