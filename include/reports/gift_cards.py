"""The movements of gift cards, each with what is left on the card after it.

A balance that the ledger states counts; from there on, and where it states none, amounts are added up. So the
balances of a card follow from each other, also where its first load is not among the movements.
"""

from __future__ import annotations

from include.ledger.catalog import RELATIONS
from include.reports.engine.queried import BEFORE

COLUMNS = RELATIONS["gift_card_transactions"].names

_ORDER = "PARTITION BY voucher_id ORDER BY created_at, transaction_id ROWS UNBOUNDED PRECEDING"
# All movements before T, by card and time; reads `gift_card_transactions` once.
MOVEMENTS = f"""
    SELECT * REPLACE (
        CASE WHEN voucher_id IS NULL THEN balance
             ELSE total + coalesce(last_value(balance - total IGNORE NULLS) OVER ({_ORDER}), 0) END AS balance
    )
    FROM (
        SELECT *, sum(amount) OVER ({_ORDER}) AS total
        FROM gift_card_transactions WHERE {BEFORE.format("created_at")}
    )
"""
