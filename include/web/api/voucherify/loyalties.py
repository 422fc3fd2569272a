"""The exports of one loyalty campaign: its points that expire, and the movements of its cards.

A path names the campaign by its id or by its name, as with the vendor; one that is not there is 404.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request

from include.pipeline.answers.campaigns import campaign_called
from include.web.api.caller import Caller
from include.web.api.voucherify.asked import CampaignBody
from include.web.api.voucherify.errors import not_found
from include.web.api.voucherify.exports import Export, Reading, scheduled
from include.web.reader import context_of

router = APIRouter()
CampaignId = Annotated[
    str, Path(min_length=1, max_length=200, description="The campaign's id, or its name.", examples=["m001"])
]


@router.post("/v1/loyalties/{campaign_id}/points-expiration/export", response_model=Export)
def points_expiration(
    request: Request, caller: Reading, campaign_id: CampaignId, body: CampaignBody | None = None
) -> Any:
    """Ask for the lots of points on the cards of a campaign, with what is left of each and when that expires."""
    return _scheduled(request, caller, campaign_id, "points_expiration", body)


@router.post("/v1/loyalties/{campaign_id}/transactions/export", response_model=Export)
def transactions(
    request: Request, caller: Reading, campaign_id: CampaignId, body: CampaignBody | None = None
) -> Any:
    """Ask for the movements of the loyalty cards of a campaign."""
    return _scheduled(request, caller, campaign_id, "voucher_transactions", body, cards="loyalty")


def _scheduled(
    request: Request, caller: Caller, named: str, kind: str, body: CampaignBody | None, **options: Any
) -> Any:
    campaign = campaign_called(context_of(request), named)
    if campaign is None:
        return not_found("campaign", named)
    return scheduled(request, caller, kind, body or CampaignBody(), campaign=campaign, **options)
