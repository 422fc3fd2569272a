"""The exports of one loyalty campaign: its points that expire, and the movements of its cards."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request

from include.web.api.voucherify.asked import CampaignBody
from include.web.api.voucherify.exports import Export, Reading, scheduled

router = APIRouter()
CampaignId = Annotated[str, Path(min_length=1, max_length=200)]


@router.post("/v1/loyalties/{campaign_id}/points-expiration/export")
def points_expiration(
    request: Request, caller: Reading, campaign_id: CampaignId, body: CampaignBody | None = None
) -> Export:
    """Ask for the lots of points of a campaign, with what is left of each and when that expires."""
    return scheduled(request, caller, "points_expiration", body or CampaignBody(), campaign=campaign_id)


@router.post("/v1/loyalties/{campaign_id}/transactions/export")
def transactions(
    request: Request, caller: Reading, campaign_id: CampaignId, body: CampaignBody | None = None
) -> Export:
    """Ask for the movements of the loyalty cards of a campaign."""
    given = body or CampaignBody()
    return scheduled(request, caller, "voucher_transactions", given, campaign=campaign_id, cards="loyalty")
