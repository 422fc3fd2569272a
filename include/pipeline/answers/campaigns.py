"""A campaign by what programs call it, looked up in the ledger when they ask."""

from __future__ import annotations

from include.pipeline.context import Context
from include.pipeline.customers.look import is_id, opened
from include.pipeline.privacy import erasure_key
from include.snapshots.reading import Which

_SECONDS = 10
_COLUMNS = ("campaign_id", "name")


def campaign_called(context: Context, text: str) -> str | None:
    """Return the id of the campaign of this id, else of this name (of several the first id); None where there is none.

    A ledger without the relation `campaigns` cannot tell: then a text that can be an id is one. Raises Transient when
    the ledger cannot be reached, BadInput when its tables are wrong.
    """
    if not is_id(text):
        return None
    with opened(context, _SECONDS, erasure_key(context)) as ledger:
        if not ledger.has("campaigns"):
            return text
        for column in _COLUMNS:
            rows = ledger.table("campaigns", _COLUMNS, Which(column, (text,)))
            ids: list[str] = rows.column("campaign_id").to_pylist()
            if ids:
                return min(ids, key=str.encode)
    return None
