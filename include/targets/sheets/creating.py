"""A spreadsheet that deliveries make themselves: found again by what they wrote down on it, made once, shared."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from include.errors import Permanent, Transient
from include.targets.protocol import PART_PREFIX
from include.targets.sheets.client import Google, Lost, pause
from include.targets.sheets.refusals import Refused
from include.targets.sheets.tables import Delivery, filled

if TYPE_CHECKING:
    from include.targets.google_sheets import Create

KIND_OF_FILE = "application/vnd.google-apps.spreadsheet"
_OURS, _WHICH = "loyalty", "loyalty_sheet"
_REPEATS = 4


def find(google: Google, create: Create, delivery: Delivery) -> str | None:
    """Return the id of the spreadsheet of this title that deliveries of this export have made; None: there is none."""
    which = _which(create, delivery)
    return next(iter(_files(google, f"appProperties has {{ key='{_WHICH}' and value='{which}' }}")), None)


def find_or_make(google: Google, create: Create, delivery: Delivery) -> str:
    """Return the id of the spreadsheet, made if it must be, and shared as the definition says."""
    for attempt in range(_REPEATS):
        found = find(google, create, delivery)
        if found is None:
            try:
                found = _make(google, create, delivery)
            except Lost:
                pause(attempt)  # it may take a moment until a search sees that it was made
                continue
        _share(google, create, found)
        return found
    raise Transient(f"Google Drive does not make the spreadsheet, {_REPEATS} times; try again later")


def all_ours(google: Google) -> list[str]:
    """Return the ids of all spreadsheets that deliveries over this connection have made."""
    return list(_files(google, f"appProperties has {{ key='{_OURS}' and value='1' }}"))


def probe(google: Google, create: Create) -> None:
    """Make a spreadsheet where `create` says, and delete it. Raises Permanent with the remedy."""
    if create.template:
        _drive(google, "get", f"files/{create.template}", fields="id")
    about = {"name": f"{PART_PREFIX}probe", "mimeType": KIND_OF_FILE, **_parents(create)}
    try:
        made = _drive(google, "post", "files", about, fields="id")["id"]
        _drive(google, "delete", f"files/{made}", repeatable=True)
    except Lost as error:
        raise Transient(f"Google Drive does not answer: {error}") from None


def _which(create: Create, delivery: Delivery) -> str:
    title = filled(create.title, delivery.parcel, delivery.manifest)
    return hashlib.sha256(f"{delivery.manifest.origin.export_id}\0{title}".encode()).hexdigest()[:32]


def _make(google: Google, create: Create, delivery: Delivery) -> str:
    about: dict[str, Any] = {
        "name": filled(create.title, delivery.parcel, delivery.manifest),
        "appProperties": {_OURS: "1", _WHICH: _which(create, delivery)},
        **_parents(create),
    }
    if create.template:
        path = f"files/{create.template}/copy"
    else:
        path, about = "files", {**about, "mimeType": KIND_OF_FILE}
    return str(_drive(google, "post", path, about, fields="id")["id"])


def _parents(create: Create) -> dict[str, Any]:
    return {"parents": [create.folder]} if create.folder else {}


def _share(google: Google, create: Create, identity: str) -> None:
    """Give everybody on the list their right, where they do not have it; Google writes to nobody."""
    if not create.share_with:
        return
    path = f"files/{identity}/permissions"
    found = _drive(google, "get", path, fields="permissions(emailAddress,role)", pageSize="100")
    there = {(each.get("emailAddress", "").casefold(), each["role"]) for each in found.get("permissions", [])}
    for person in create.share_with:
        if (person.address.casefold(), person.role) not in there:
            about = {"type": person.kind, "role": person.role, "emailAddress": person.address}
            _drive(google, "post", path, about, repeatable=True, sendNotificationEmail="false", fields="id")


def _files(google: Google, condition: str) -> Iterator[str]:
    """Yield the ids of files, the oldest first."""
    query = f"{condition} and mimeType = '{KIND_OF_FILE}' and trashed = false"
    more = {"corpora": "allDrives", "includeItemsFromAllDrives": "true", "orderBy": "createdTime"}
    token = ""
    while True:
        page = {"pageToken": token} if token else {}
        found = _drive(google, "get", "files", q=query, fields="nextPageToken,files(id)", **more, **page)
        yield from (each["id"] for each in found.get("files", []))
        token = found.get("nextPageToken", "")
        if not token:
            return


def _drive(google: Google, method: str, path: str, body: Any = None, **more: Any) -> Any:
    google.place = "Google Drive"
    try:
        return google.drive(method, path, body, **more)
    except Refused as refused:
        if refused.status == 404 and not path.startswith("files/"):
            raise Permanent(
                f"Google Drive answers 404: there is no such folder, or {google.account.shown} may not write there; "
                "correct create.folder, or share the folder with that address as Content manager"
            ) from None
        raise google.named(refused) from None
