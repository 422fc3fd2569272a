"""Two recipients with keys of their own: one customer has another pseudonym for each, and the figures agree.

Guards docs/privacy.md, Pseudonyms for each recipient.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from include import connections
from include.definitions.model import ExportDefinition
from include.pipeline import Context
from include.pipeline.erasure import erase
from include.settings import Settings
from tests.pipeline.people import CLEAR, make, rows

pytestmark = pytest.mark.slow  # a whole ledger, or hundreds of small transactions


def test_two_definitions_that_differ_in_their_key(
    ledger_url: str,
    settings_for: Callable[..., Settings],
    define: Callable[..., ExportDefinition],
    inline: None,
) -> None:
    context = Context(settings_for(ledger_url), lambda name: connections.Connection(name, password=name * 5))

    def points_for(recipient: str, again: str = "") -> dict[str, list[str]]:
        definition = define(
            id=f"points-{recipient}{again}",
            fields=["customer_id", "tier", "points_balance"],
            filters={"field": "holder_kind", "is": "customer"},
            privacy={"fields": {"customer_id": "pseudonym"}, "pseudonym_key": f"pseudonyms_{recipient}"},
            **CLEAR,
        )
        return {row[0]: row[1:] for row in rows(context, make(context, definition))[1:]}

    acme, brand = points_for("acme"), points_for("brand")
    assert not set(acme) & set(brand)
    assert sorted(acme.values()) == sorted(brand.values())
    assert points_for("acme", "-again") == acme

    with sa.create_engine(ledger_url).connect() as connection:
        first = "SELECT customer_id FROM transactions WHERE card_id IS NULL ORDER BY created_at LIMIT 1"
        erase.erase(context, customer=connection.exec_driver_sql(first).scalar_one())
    after = points_for("acme", "-later")
    [gone], [come] = set(acme) - set(after), set(after) - set(acme)
    assert after[come] == acme[gone]
