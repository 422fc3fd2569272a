"""The part of Google Drive that spreadsheets need: files found by what their makers wrote on them, copies, rights."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from tests.servers.workbook import Sheet, Workbook

KIND = "application/vnd.google-apps.spreadsheet"


@dataclass
class Drive:
    """Files by id. lag: how many searches do not see a new file yet. folders: those that the account may write to."""

    books: dict[str, Workbook] = field(default_factory=dict)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    rights: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    no_storage: bool = False

    def done(
        self, method: str, names: dict[str, str], query: dict[str, list[str]], body: Any, who: str
    ) -> Any:
        """Carry it out; KeyError: no such file; PermissionError: with the reason as Google calls it."""
        if query.get("supportsAllDrives") != ["true"]:
            raise NotImplementedError("what is in shared drives is not seen")
        step = getattr(self, "_" + method.removeprefix("drive.").replace(".", "_"), None)
        if step is None:
            raise NotImplementedError(method)
        return step(names, query, body or {}, who)

    def _files_list(self, names, query, body, who) -> Any:
        (text,) = query["q"]
        found = re.fullmatch(
            rf"appProperties has \{{ key='(\w+)' and value='(\w+)' \}} and mimeType = '{re.escape(KIND)}' and trashed = false",
            text,
        )
        if (
            found is None
            or query["corpora"] != ["allDrives"]
            or query["includeItemsFromAllDrives"] != ["true"]
        ):
            raise NotImplementedError(query)
        ids = [
            number for number, file in self.files.items() if file["appProperties"].get(found[1]) == found[2]
        ]
        at = int(query.get("pageToken", ["0"])[0])
        page = {"files": [{"id": number} for number in ids[at : at + 2]]}
        return {**page, "nextPageToken": str(at + 2)} if ids[at + 2 :] else page

    def _files_get(self, names, query, body, who) -> Any:
        return {"id": self._readable(names["fileId"], who).id}

    def _files_create(self, names, query, body, who) -> Any:
        if body.get("mimeType") != KIND:
            raise NotImplementedError(body)
        return self._made(body, Workbook("", sheets={0: Sheet(0, "Feuille 1")}), who)

    def _files_copy(self, names, query, body, who) -> Any:
        source = self._readable(names["fileId"], who)
        sheets = {number: sheet.copied() for number, sheet in source.sheets.items()}
        return self._made(body, Workbook("", zone=source.zone, sheets=sheets), who)

    def _made(self, body: dict[str, Any], book: Workbook, who: str) -> Any:
        for folder in body.get("parents", []):
            if folder not in self.folders:
                raise KeyError(folder)
        if self.no_storage and not body.get("parents"):
            raise PermissionError("storageQuotaExceeded")
        book.id = f"1MadeByDeliveriesNumber{len(self.files):08}"
        book.title, book.editors = body["name"], {who}
        self.books[book.id] = book
        self.files[book.id] = {"appProperties": {}, **body}
        return {"id": book.id}

    def _files_delete(self, names, query, body, who) -> Any:
        self._readable(names["fileId"], who)
        del self.books[names["fileId"]]
        self.files.pop(names["fileId"], None)
        return None

    def _permissions_list(self, names, query, body, who) -> Any:
        self._readable(names["fileId"], who)
        return {"permissions": self.rights.get(names["fileId"], [])}

    def _permissions_create(self, names, query, body, who) -> Any:
        if query.get("sendNotificationEmail") != ["false"]:
            raise NotImplementedError("Google would write a mail")
        self._readable(names["fileId"], who)
        self.rights.setdefault(names["fileId"], []).append(body)
        return {"id": "p1"}

    def _readable(self, number: str, who: str) -> Workbook:
        book = self.books.get(number)
        if book is None or (book.editors and who not in book.editors | book.readers):
            raise KeyError(number)
        return book
