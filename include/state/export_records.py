"""One export as its list and its page show it, its edits, and what a list of them can be asked for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from include.errors import LoyaltyError

Source = Literal["yaml", "ui"]
Sort = Literal["name", "created_at", "created_by", "model", "status", "filesize", "next_at"]


class Status(StrEnum):
    """What the list says of an export: how its last run stands, or whether a repeated one is on."""

    PENDING = "Pending"  # saved, nothing started
    PROCESSING = "Processing"
    FINISHED = "Finished"
    FAILED = "Failed"
    ACTIVE = "Active"
    INACTIVE = "Inactive"  # repeated, but paused or disabled


@dataclass(frozen=True)
class LastRun:
    """The newest run of an export. `bytes` are those of its files without the manifest, None while there are none.

    `rows_done` of `rows_total` belong to `stage`, which began at `stage_at`.
    """

    run_key: str
    status: str
    stage: str
    stage_at: datetime | None
    rows_done: int
    rows_total: int | None
    bytes: int | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class LastDelivery:
    """The newest delivery of an export to one of its targets; `state` is a DeliveryState's value."""

    state: str
    at: datetime
    run_key: str


@dataclass(frozen=True)
class Export:
    """One export. `created_by` is empty and `file` is the file's name where it comes from YAML.

    targets: label and kind of each. recurring: it has a schedule other than a date. broken: its YAML file is there
    and has problems, and the row shows how it was before; or it was made in the pages and has no
    DAG. number: of its newest edit, 1 for the first.
    """

    definition_id: str
    name: str
    description: str
    models: tuple[str, ...]
    owner: str
    targets: tuple[tuple[str, str], ...]
    timezone: str
    enabled: bool
    paused: bool
    recurring: bool
    next_at: datetime | None
    source: Source
    file: str | None
    broken: bool
    created_by: str
    created_at: datetime
    edited_by: str
    edited_at: datetime
    number: int
    deleted_at: datetime | None
    document: dict[str, Any] = field(repr=False)
    """The newest edit's document; `include.definitions.load.from_document` reads it."""
    status: Status
    """Pending, Processing, Finished or Failed."""
    last_run: LastRun | None = None
    last_deliveries: Mapping[str, LastDelivery] = field(default_factory=dict)
    """By the label of the target; targets to which nothing was ever delivered are missing."""

    @property
    def activity(self) -> Status | None:
        """Active or Inactive for a repeated one, None for others."""
        if not self.recurring:
            return None
        return Status.ACTIVE if self.enabled and not self.paused else Status.INACTIVE


@dataclass(frozen=True)
class Edit:
    """One saved version of an export. author: empty for YAML. deleted: the edit that deleted it."""

    definition_id: str
    number: int
    source: Source
    document: dict[str, Any]
    author: str
    at: datetime
    deleted: bool


@dataclass(frozen=True)
class Query:
    """What to list. Empty texts and None do not filter; page counts from 1.

    text: is in name, id or description, in any case. status: any of the six words. target: a kind or a label.
    visible: only these ids; None for all. Nothing known (no next run, no file) sorts last in both directions.
    """

    text: str = ""
    status: Status | None = None
    model: str = ""
    target: str = ""
    owner: str = ""
    source: Source | None = None
    sort: Sort = "created_at"
    descending: bool = True
    page: int = 1
    per_page: int = 50
    visible: Collection[str] | None = None


@dataclass(frozen=True)
class Found:
    """One page of exports, and how many there are on all pages."""

    rows: tuple[Export, ...]
    total: int


@dataclass(frozen=True)
class Choices:
    """What can be filtered by: the models, target kinds and labels, and owners that occur, sorted."""

    models: tuple[str, ...]
    targets: tuple[str, ...]
    owners: tuple[str, ...]


class Edited(LoyaltyError):
    """Somebody else has saved or deleted the export meanwhile. `theirs` is how it is now, `edit` their edit."""

    def __init__(self, theirs: Export, edit: Edit) -> None:
        self.theirs, self.edit = theirs, edit
        did = "deleted" if edit.deleted else "saved"
        super().__init__(f"{edit.author or theirs.file} has {did} {theirs.definition_id} meanwhile")
