"""Loyalty cards as vouchers: which voucher, of which campaign, stands for a card that holds points."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from include.reports.engine.joins import Batches, left_join, relation
from include.reports.model import LocalSnapshot, Needs

NEEDS: Needs = {"vouchers": ("voucher_id", "card_id", "voucher_type", "campaign_id")}
_RENAMED = {
    "card_id": "card_id",
    "voucher_id": "voucher_id",
    "voucher_type": "voucher_type",
    "campaign_id": "card_campaign_id",
}


def with_vouchers(rows: Batches, snapshot: LocalSnapshot, folder: Path) -> Batches:
    """Yield rows with `voucher_id` of their `card_id`; `campaign_id` is that of the voucher, where it has one."""
    side = relation(snapshot, "vouchers", "card_id", _RENAMED, keep=_is_loyalty_card, first_by="voucher_id")
    for batch in left_join(rows, side, folder):
        place = batch.schema.get_field_index("campaign_id")
        campaign = pc.coalesce(batch.column("card_campaign_id"), batch.column("campaign_id"))
        yield batch.set_column(place, "campaign_id", campaign)


def _is_loyalty_card(vouchers: pa.RecordBatch) -> pa.Array:
    is_card = pc.equal(vouchers.column("voucher_type"), "LOYALTY_CARD")
    return pc.and_(is_card, pc.greater(pc.binary_length(vouchers.column("card_id")), 0))
