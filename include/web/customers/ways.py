"""Where a customer's page is, below the root of our pages, whatever characters the id has."""

from __future__ import annotations

import re
from urllib.parse import quote, urlencode

from include.ledger.people import Name
from include.snapshots.excerpt import Holder

_PLAIN = re.compile(r"[\w.@:+~-]+")


def way(customer_id: str) -> str:
    """Return the path of a customer's page."""
    # In a path, browsers resolve dots, and proxies take an encoded slash or percent sign for another character.
    if _PLAIN.fullmatch(customer_id) and customer_id.strip("."):
        return f"/customers/{quote(customer_id, safe='')}"
    return f"/customers?{urlencode({'id': customer_id})}"


def card_way(card_id: str) -> str:
    """Return the path of the page of a card that nobody owns."""
    return f"/customers?{urlencode({'card': card_id})}"


def way_of(holder: Holder) -> str:
    """Return the path of a holder's page."""
    return way(holder.id) if holder.kind is Name.CUSTOMER else card_way(holder.id)
