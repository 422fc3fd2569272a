"""Publications: every field that the ledger has, with the names of campaign and customer."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel

from include.ledger.catalog import RELATIONS
from include.ledger.columns import Column
from include.reports import glossary
from include.reports.engine.widened import Part, Widened
from include.reports.model import Asked, LocalSnapshot, Needs, Period, Report
from include.reports.relation import NoOptions

KIND = "publications"
TITLE = "Publications"
PERIOD: Period = "optional"
Options = NoOptions

_COLUMNS = glossary.columns(KIND, (*RELATIONS[KIND].names, "campaign", "customer_source_id"))


def needs(options: BaseModel) -> Needs:  # noqa: ARG001
    """Return the relations and columns that the model reads where the ledger has them."""
    return {
        KIND: RELATIONS[KIND].names,
        "campaigns": ("campaign_id", "name"),
        "customers": ("customer_id", "source_id"),
    }


def columns(options: BaseModel) -> tuple[Column, ...]:  # noqa: ARG001
    """Return the output columns in order."""
    return _COLUMNS


def report(asked: Asked, snapshot: LocalSnapshot, scratch: Path) -> Report:
    """Return the publications of the period, or before `as_of`; raise BadInput when the ledger has none."""
    snapshot.require(KIND, {KIND: ()})
    return _Publications(asked, snapshot, scratch, _COLUMNS, KIND)


class _Publications(Widened):
    def parts(self) -> list[Part]:
        return [
            self.named("campaigns", "campaign_id", {"name": "campaign"}),
            self.named("customers", "customer_id", {"source_id": "customer_source_id"}),
        ]
