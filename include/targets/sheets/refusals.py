"""Why Google does not do something, and what helps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from include.errors import LoyaltyError, Permanent, Transient

_QUOTAS = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED"})
# By the code of an error; `{who}` is the account.
_BY_REASON = {
    "SERVICE_DISABLED": "the API is not enabled in the project of {who}; enable Google Sheets API, and Google Drive "
    "API for `create`, in its Google Cloud console",
    "ACCESS_TOKEN_SCOPE_INSUFFICIENT": "the consent of {who} does not cover this; consent again to spreadsheets and "
    "drive.file, and to drive where `create` has folder or template",
    "storageQuotaExceeded": "{who} has no storage for files of its own; let create.folder be in a shared drive in "
    "which it is Content manager, or use an OAuth connection, or delegate_to",
    "teamDriveFileLimitExceeded": "the shared drive holds no more files; remove some",
    "sharingRateLimitExceeded": "too many were invited today; wait a day, or share the folder instead",
    "invalidSharingRequest": "an address of create.share_with cannot be invited; correct it",
}
# By words of the message, since the code is the same for all of them.
_BY_WORDS = {
    "number of cells in the workbook above the limit": "the spreadsheet is full: it holds 10,000,000 cells at most, "
    "empty ones too; remove tabs, rows or columns that nobody needs, or deliver to another spreadsheet",
    "protected cell": "the tab, or a range in it, is protected; let {who} edit it, or remove the protection",
    "not supported for this document": "it is a file of another kind, such as a workbook of Excel; open it in Google "
    "Sheets, choose File > Save as Google Sheets, and use that one's address",
    "payload size exceeds": "the request is too large; lower request_megabytes",
}
# What says that somebody has changed the spreadsheet since we looked: the next attempt looks again.
_MEANWHILE = ("No grid with id", "Unable to parse range", "already exists", "exceeds grid limits")
_BY_STATUS = {
    401: "the login is not accepted; check the key of the connection, and that {who} is enabled",
    403: "it is not shared with {who}; open it, choose Share, and make that address an Editor",
    404: "there is no such spreadsheet, folder or template; correct its id, or share it with {who} as Editor",
}


class Refused(Exception):
    """Google answered with an error that asking again does not change; it never leaves this package."""

    def __init__(self, status: int, error: Mapping[str, Any]) -> None:
        self.status = status
        self.message = str(error.get("message", ""))
        details = [*(error.get("details") or []), *(error.get("errors") or [])]
        self.reasons = [
            str(each["reason"]) for each in details if isinstance(each, Mapping) and "reason" in each
        ]
        super().__init__(f"{status} {self.message}")

    @property
    def is_quota(self) -> bool:
        """Whether there were too many requests: nothing was done."""
        return self.status == 429 or (self.status == 403 and bool(_QUOTAS & set(self.reasons)))


def refusal(place: str, who: str, refused: Refused) -> LoyaltyError:
    """Return the error for a refusal: with the remedy for its reason, words or status, else with its own words."""
    if refused.status == 400 and any(words in refused.message for words in _MEANWHILE):
        return Transient(f"{place}: it was changed meanwhile: {refused.message}")
    remedies = [_BY_REASON[reason] for reason in refused.reasons if reason in _BY_REASON]
    remedies += [remedy for words, remedy in _BY_WORDS.items() if words in refused.message]
    remedies += [_BY_STATUS[refused.status]] if refused.status in _BY_STATUS else []
    if refused.status >= 500 or refused.is_quota:
        return Transient(f"{place}: Google answers {refused.status}: {refused.message}")
    told = remedies[0].format(who=who) if remedies else refused.message or "it says no more"
    return Permanent(f"{place}: Google answers {refused.status}: {told}")
