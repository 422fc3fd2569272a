"""Looks at customers, as tests take them: of whom, in which zone, by whom."""

from __future__ import annotations

from typing import Any

from include.ledger.people import Name
from include.pipeline import Context
from include.pipeline.customers.figures import View
from include.pipeline.customers.look import Customer, look
from include.snapshots.excerpt import Holder

ZONE = "Europe/Paris"
BY = "ann"


def of(customer_id: str) -> Holder:
    return Holder(Name.CUSTOMER, customer_id)


def seen(context: Context, holder: Holder, **view: Any) -> Customer:
    found = look(context, holder, View(**({"zone": ZONE} | view)), by=BY)
    assert found is not None
    return found
