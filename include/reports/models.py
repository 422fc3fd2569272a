"""Every model that an export can ask for: the reports, one file each, and every relation of the ledger.

`names` is all that DAG files need, and imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

from include import kinds, reports
from include.errors import BadInput, Problem
from include.ledger.relations import RELATIONS

if TYPE_CHECKING:
    from pydantic import BaseModel

    from include.reports.model import Asked, ReportModule

    Span = tuple[int | None, int | None]


def names() -> tuple[str, ...]:
    """Return the names of all models, sorted."""
    return tuple(sorted({*kinds.names(reports), *RELATIONS}))


def title(name: str) -> str:
    """Return what people call the model of that name; the name itself where there is no such model any more."""
    return load(name, where="model").TITLE if name in names() else name


def problem(name: str, *, where: str) -> Problem:
    """Return the problem of a name that no model has."""
    return Problem(where, name, f"known models are {', '.join(names())}", "unknown_model")


def load(name: str, *, where: str) -> ReportModule:
    """Return the model of that name; raise BadInput that lists the known ones when there is none.

    A file of the name comes first: it gives a relation with what can be computed beside its fields.
    """
    if name in kinds.names(reports):
        return cast("ReportModule", kinds.load(reports, name, where=where))
    if name in RELATIONS:
        from include.reports import relation

        return relation.load(name)
    raise BadInput([problem(name, where=where)])


def of_accounts(model: ReportModule, options: BaseModel) -> bool:
    """Say whether ranges of accounts can be reported apart (see `ReportModule`)."""
    return bool(getattr(model, "of_accounts", lambda _: False)(options))


def spans(asked: Iterable[tuple[ReportModule, Asked]]) -> dict[str, Span]:
    """Return every relation that these models read, and the moments `[low, high)` outside which none reads a row.

    us; None: no bound. Files that lie outside need not be fetched (`snapshots.local.local`). A model that reads
    less than all transactions before T, and other relations whole, declares `spans(asked)` of its own.
    """
    found: dict[str, Span] = {}
    for model, one in asked:
        own = getattr(model, "spans", _before_t)(one)
        for relation in model.needs(one.options):
            span = own.get(relation, (None, None))
            found[relation] = _hull(found.get(relation, span), span)
    return found


def _before_t(asked: Asked) -> dict[str, Span]:
    return {"transactions": (None, asked.as_of)}


def _hull(one: Span, other: Span) -> Span:
    lows, highs = zip(one, other, strict=True)
    return (
        None if None in lows else min(low for low in lows if low is not None),
        None if None in highs else max(high for high in highs if high is not None),
    )
