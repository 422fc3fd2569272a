"""The one catalog of the ledger: relations, fields, types, meaning, PII mark (docs/ledger.md section 2).

Database tables, the mapping's checks, snapshots, reference pages and pages for people are all made from it.
A new relation is one more entry in a file of `include/ledger/relations/`.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from include.ledger.fields import ARROW_TYPES, PLACES, Field, FieldType, Relation
from include.ledger.relations import content, members, movements, orders, programs, rewards

__all__ = ["ARROW_TYPES", "PLACES", "RELATIONS", "Field", "FieldType", "Relation", "arrow_schema"]

_MODULES = (programs, members, movements, rewards, orders, content)

RELATIONS: dict[str, Relation] = {
    relation.name: relation for module in _MODULES for relation in module.RELATIONS
}


def arrow_schema(relation: Relation, columns: Sequence[str] | None = None) -> pa.Schema:
    """Return the Arrow schema of a relation: all its fields, or `columns` in that order (else KeyError)."""
    fields = [relation.field(name) for name in (relation.names if columns is None else columns)]
    return pa.schema([pa.field(field.name, ARROW_TYPES[field.type]) for field in fields])
