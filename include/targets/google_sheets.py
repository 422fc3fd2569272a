"""Tabs of a Google spreadsheet (`sheets` says how rows get there; docs/targets/google-sheets.md is for users).

What goes there are the rows of the parcel's files, as their manifest describes them; files stay behind.
"""

from __future__ import annotations

import re
import secrets as tokens
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from include.connections import NAME, Secrets, missing
from include.errors import BadInput, LoyaltyError, Problem
from include.targets.protocol import (
    PART_PREFIX,
    Capabilities,
    Kept,
    Parcel,
    Progress,
    Receipt,
    Seen,
    check_names,
    part_key,
)

if TYPE_CHECKING:  # gspread is heavy: it is imported when there is something to send
    from include.targets.sheets.book import Spreadsheet
    from include.targets.sheets.client import Google

KIND = "google_sheets"
OUTSIDE = True
CAPABILITIES = Capabilities(
    is_atomic=True, can_replace=True, reads_back=True, leaves_parts=True, keeps_names=False
)
_ID = r"[A-Za-z0-9_-]{20,100}"
_TITLE = ("id", "name", "period", "as_of", "revision")
_TAB = (*_TITLE, "export", "file")


def _spreadsheet(text: str) -> str:
    found = re.search(rf"/spreadsheets/d/({_ID})", text) or re.fullmatch(f"({_ID})", text)
    if found is None:
        raise ValueError("the address of a spreadsheet, or the id in it between /d/ and /edit")
    return found[1]


def _folder(text: str) -> str:
    found = re.search(rf"/folders/({_ID})", text) or re.fullmatch(f"({_ID})", text)
    if found is None:
        raise ValueError("the address of a folder in Google Drive, or the id at its end")
    return found[1]


def _template(known: tuple[str, ...], text: str) -> str:
    fields = re.findall(r"\{([^{}]*)\}", text)
    rest = re.sub(r"\{[^{}]*\}", "", text)
    if not text.strip() or set(fields) - set(known) or set(rest) & set("{}") or not text.isprintable():
        raise ValueError("a title; known placeholders are " + ", ".join(f"{{{name}}}" for name in known))
    if text.startswith(PART_PREFIX):
        raise ValueError(f"titles that begin with {PART_PREFIX} are for tabs in the making")
    return text


def _tab(text: str) -> str:
    return _template(_TAB, text)


def _title(text: str) -> str:
    return _template(_TITLE, text)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Share(_Part):
    """Who gets a right to a spreadsheet that deliveries make."""

    address: Annotated[
        str, StringConstraints(pattern=r"^[^@\s<>,;]+@[^@\s<>,;]+\.[^@\s<>,;]+$", max_length=254)
    ] = Field(description="The e-mail address of a person or a group.")
    role: Literal["reader", "commenter", "writer"] = "reader"
    kind: Literal["user", "group"] = "user"


class Create(_Part):
    """A spreadsheet that deliveries make; the one that they have made for this title is used again."""

    title: Annotated[str, AfterValidator(_title)] = Field(
        description="Its title; {id}, {name}, {period}, {as_of} and {revision} are filled in."
    )
    folder: Annotated[str, AfterValidator(_folder)] | None = Field(
        None, description="The folder in Google Drive, best in a shared drive: its id or address."
    )
    template: Annotated[str, AfterValidator(_spreadsheet)] | None = Field(
        None, description="A spreadsheet of which each new one is a copy: its id or address."
    )
    share_with: tuple[Share, ...] = Field(
        (), max_length=50, description="Who gets a right to it. Google writes to nobody."
    )


class Look(_Part):
    """How a tab looks when it is made, and when its columns change."""

    bold: bool = Field(True, description="Whether the header is bold.")
    background: Annotated[str, StringConstraints(pattern=r"^#[0-9A-Fa-f]{6}$")] | None = Field(
        "#E8EAED", description="The colour behind the header, as #RRGGBB."
    )
    freeze: bool = Field(True, description="Whether the header stays in sight.")
    formats: bool = Field(
        True,
        description="Whether columns get number formats: points 1,234.50, dates 2026-03-01, ids as text.",
    )
    widths: bool = Field(True, description="Whether columns get widths that fit their kind.")


class Charts(_Part):
    """Charts of columns of numbers, on a tab of their own."""

    tab: Annotated[str, AfterValidator(_title)] = Field(
        "Charts",
        description="The tab that they are on; {id}, {name}, {period}, {as_of} and {revision} are filled in.",
    )
    columns: tuple[str, ...] = Field(
        (),
        description="Which columns are drawn; left out, points and money, else the first numbers; 6 at most.",
    )
    kind: Literal["column", "bar", "line", "area"] = "column"
    rows: int = Field(100, ge=1, le=5000, description="How many rows are drawn, from the first.")


class Options(_Part):
    """Which spreadsheet, which tab, and how rows get there."""

    connection: Annotated[str, Field(pattern=rf"^{NAME}$")] = Field(
        description="The name of the Airflow connection of type Google Cloud, with a service account or a consent."
    )
    spreadsheet: Annotated[str, AfterValidator(_spreadsheet)] | None = Field(
        None, description="The spreadsheet's address, or its id. Share it with the account as Editor."
    )
    create: Create | None = Field(None, description="Instead: a spreadsheet that deliveries make.")
    tab: Annotated[str, AfterValidator(_tab)] = Field(
        "{export}",
        description="The tab's name; {export}, {file}, {id}, {name}, {period}, {as_of} and {revision} are filled in.",
    )
    mode: Literal["replace", "append", "upsert"] = Field(
        "replace",
        description="replace: the tab shows this delivery alone. append: its rows come after those that are there. "
        "upsert: rows of the same key are brought up to date, new ones come after; none is removed.",
    )
    key: tuple[str, ...] = Field(
        (), max_length=10, description="With upsert: the columns that identify a row."
    )
    header: bool = Field(True, description="Whether the first row holds the names of the columns.")
    look: Look = Field(default_factory=Look, description="Header, formats, widths.")
    charts: Charts | None = Field(None, description="Charts on a tab of their own.")
    note: bool = Field(
        True, description="Whether a note on the first cell says whose export it is, and of when."
    )
    instants: Literal["serial", "text"] = Field(
        "serial",
        description="serial: moments that a spreadsheet computes with, cut to the second. text: as in the file.",
    )
    timezone: Literal["definition", "spreadsheet"] = Field(
        "definition", description="In whose zone instants are shown, where the file tells their offset."
    )
    on_edit: Literal["conflict", "overwrite"] = Field(
        "conflict",
        description="With replace: what happens when people have changed rows since the last delivery, or the tab "
        "holds rows that no delivery brought. conflict: it waits for a person. overwrite: they are gone.",
    )
    on_older: Literal["conflict", "overwrite"] = Field(
        "conflict",
        description="With replace: what happens when the tab shows a later delivery of the export.",
    )
    verify: Literal["read_back", "none"] = Field(
        "read_back", description="Whether the tab is read and compared afterwards (replace and upsert)."
    )
    request_megabytes: int = Field(
        10, ge=1, le=10, description="How large a request may be; smaller ones are answered sooner."
    )
    timeout_seconds: int = Field(200, ge=1, le=600, description="How long Google may be silent.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.spreadsheet is None) == (self.create is None):
            raise ValueError("give spreadsheet, or create: one of the two")
        if bool(self.key) != (self.mode == "upsert"):
            raise ValueError(
                "mode upsert needs key, the columns that identify a row, and no other mode has it"
            )
        if self.charts is not None and self.mode != "replace":
            raise ValueError("charts are drawn in mode replace")
        return self


def connections(options: Options) -> tuple[str, ...]:
    """Return the one connection."""
    return (options.connection,)


def deliver(options: Options, parcel: Parcel, secrets: Secrets, progress: Progress) -> Receipt:
    """Bring the rows there (see `protocol.Target`); the receipt's hashes are those of the files that they are from."""
    from include.targets.sheets.bringing import bring
    from include.targets.sheets.creating import find_or_make
    from include.targets.sheets.tables import delivery_of

    check_names(parcel)
    with delivery_of(options, parcel) as delivery:
        google = _google(options, secrets)
        identity = options.spreadsheet or find_or_make(google, _create(options), delivery)
        accepted = bring(_sheet(google, identity), options, delivery, progress)
    return Receipt(target=KIND, key=parcel.key, files=accepted)


def look(options: Options, parcel: Parcel, secrets: Secrets) -> Seen:
    """Say what is there (see `protocol.Target`): SAME once this delivery has been there, whatever came after."""
    from include.targets.sheets.bringing import seen
    from include.targets.sheets.creating import find
    from include.targets.sheets.tables import delivery_of

    check_names(parcel)
    with delivery_of(options, parcel) as delivery:
        google = _google(options, secrets)
        identity = options.spreadsheet or find(google, _create(options), delivery)
        return seen(_sheet(google, identity), options, delivery) if identity else Seen.ABSENT


def test(options: Options, secrets: Secrets) -> list[Problem]:
    """Log in; make and remove a hidden tab, or a spreadsheet where `create` says (see `protocol.Target`)."""
    from include.targets.sheets.creating import probe

    try:
        google = _google(options, secrets)
        if options.spreadsheet is None:
            probe(google, _create(options))
        else:
            number = 1 + tokens.randbelow((1 << 31) - 2)
            about = {"sheetId": number, "title": f"{PART_PREFIX}probe-{number}", "hidden": True}
            steps: list[dict[str, Any]] = [
                {"addSheet": {"properties": about}},
                {"deleteSheet": {"sheetId": number}},
            ]
            _sheet(google, options.spreadsheet).change(steps)
    except BadInput as error:
        return list(error.problems)
    except LoyaltyError as error:
        return [Problem("connection", options.connection, str(error), "google_sheets_unusable")]
    return []


def clean(options: Options, secrets: Secrets, older_than: timedelta, kept: Kept) -> list[str]:
    """Remove the hidden tabs that killed deliveries left (see `protocol.Target`)."""
    from include.targets.sheets.creating import all_ours
    from include.targets.sheets.loading import made_at

    before = datetime.now(UTC) - older_than
    google, removed = _google(options, secrets), []
    for identity in [options.spreadsheet] if options.spreadsheet else all_ours(google):
        sheet = _sheet(google, identity)
        old = [
            tab
            for tab in sheet.look().tabs
            if (made := made_at(tab)) is not None and made < before and part_key(tab.title) not in kept.live
        ]
        if old:
            sheet.change([{"deleteSheet": {"sheetId": tab.id}} for tab in old])
        removed += [f"{sheet.address}: {tab.title}" for tab in old]
    return removed


def _create(options: Options) -> Create:
    assert options.create is not None
    return options.create


def _google(options: Options, secrets: Secrets) -> Google:
    from include.targets.sheets.client import Google
    from include.targets.sheets.login import ALL_FILES, OWN_FILES, SPREADSHEETS, Account

    connection = secrets.connections.get(options.connection)
    if connection is None:
        raise missing(options.connection)
    elsewhere = options.create is not None and bool(options.create.folder or options.create.template)
    # Files that we have not made, such as the folder, are seen by the wider scope only.
    account = Account(connection, [SPREADSHEETS, ALL_FILES if elsewhere else OWN_FILES])
    return Google(connection, account, options.timeout_seconds)


def _sheet(google: Google, identity: str) -> Spreadsheet:
    from include.targets.sheets.book import Spreadsheet

    return Spreadsheet(google, identity)
