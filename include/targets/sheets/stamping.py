"""What a delivery writes down on a tab, in the same step that changes it.

The id of a stamp comes from the delivery's key, and Google refuses an id that is there: the same delivery, sent twice
or late, changes nothing twice. A tab keeps the stamps of its last deliveries only, since Google keeps 30,000
characters of them for each tab.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from include.targets.sheets.book import STAMP, Request, Tab, number_of
from include.targets.sheets.client import encoded

KEPT = 300


def stamp_id(key: str, tab: str) -> int:
    """Return the id of a delivery's stamp on the tab that its definition calls so."""
    return number_of("stamp", key, tab)


def stamp(
    sheet_id: int, tab: Tab | None, number: int, value: Mapping[str, Any], *, keep: int
) -> Iterator[Request]:
    """Yield the requests that write the stamp, and drop all but the last `keep` of the others."""
    earlier = tab.stamps if tab else []
    for mark in earlier[: max(0, len(earlier) - keep)]:
        lookup = {"developerMetadataLookup": {"metadataId": mark.id}}
        yield {"deleteDeveloperMetadata": {"dataFilter": lookup}}
    count = int(earlier[-1].value.get("n", 0)) + 1 if earlier else 1
    text = encoded({"n": count, **value}).decode()
    about = {
        "metadataId": number,
        "metadataKey": STAMP,
        "metadataValue": text,
        "location": {"sheetId": sheet_id},
        "visibility": "DOCUMENT",
    }
    yield {"createDeveloperMetadata": {"developerMetadata": about}}
