"""What our API says of definitions, runs, files and deliveries: one model for each, published in the document."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from include.pipeline.personal import personal_files
from include.state.deliveries import Delivery
from include.state.exports import Export
from include.state.runs import RunRecord

T = TypeVar("T")
RUN_KEY = "3f6c0d8f0c1e4a7b9d2e5f60718293a4b5c6d7e8f90a1b2c3d4e5f6071829304"
DEFINITION: dict[str, Any] = {
    "id": "monthly-members",
    "name": "Members at month end",
    "model": "balance",
    "timezone": "Europe/Paris",
    "as_of": "end_of_previous_month",
    "fields": ["customer_id", "active", "pending"],
    "schedule": {"kind": "monthly", "days": [1], "time": "06:00"},
    "targets": [{"kind": "folder", "options": {"folder": "members"}}],
}


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


Moment = Annotated[datetime, AfterValidator(_utc)]


class Shape(BaseModel):
    """What is sent."""

    model_config = ConfigDict(frozen=True)


class Listed(Shape, Generic[T]):
    """A page of a list."""

    items: list[T]
    page: int
    per_page: int
    total: int
    next: str | None = Field(description="The address of the next page; null for the last.")


class DefinitionShown(Shape):
    """An export."""

    id: str
    name: str
    source: str = Field(description="`ui`: it can be changed here; `yaml`: it is a file.")
    number: int = Field(description="Of its newest edit.")
    owner: str
    enabled: bool
    paused: bool
    created_by: str
    created_at: Moment
    edited_by: str
    edited_at: Moment
    document: dict[str, Any] = Field(description="The definition.", examples=[DEFINITION])


class FileShown(Shape):
    """A file of a run."""

    name: str
    sha256: str
    bytes: int
    rows: int | None
    media_type: str
    personal: bool = Field(description="It holds personal data: to download it takes that scope too.")


class RunShown(Shape):
    """A run. `as_of` is its instant T, `known_at` what was known of the ledger, [start, end) its period."""

    run_key: str = Field(examples=[RUN_KEY])
    definition_id: str
    definition_version: str
    status: str
    stage: str
    rows_done: int
    rows_total: int | None
    occurrence: Moment | None
    start: Moment | None
    end: Moment | None
    as_of: Moment
    known_at: Moment
    revision: int
    dry_run: bool
    requested_by: str | None
    skipped: str | None = Field(description="Why there is nothing to send.")
    files: list[FileShown]
    files_gone_at: Moment | None
    created_at: Moment | None
    updated_at: Moment | None


class DeliveryShown(Shape):
    """A delivery of a run to one of its targets. sending: 0, or the number of each time it was sent again."""

    key: str
    run_key: str
    definition_id: str
    target: str
    sending: int
    state: str
    attempts: int
    sha256: str | None
    rows: int | None
    message: str | None
    receipt: dict[str, Any] | None
    created_at: Moment
    updated_at: Moment


def definition(export: Export) -> dict[str, Any]:
    """Return an export as it is shown."""
    return DefinitionShown(
        id=export.definition_id,
        name=export.name,
        source=export.source,
        number=export.number,
        owner=export.owner,
        enabled=export.enabled,
        paused=export.paused,
        created_by=export.created_by,
        created_at=export.created_at,
        edited_by=export.edited_by,
        edited_at=export.edited_at,
        document=export.document if isinstance(export.document, dict) else {},
    ).model_dump(mode="json")


def run(found: RunRecord) -> dict[str, Any]:
    """Return a run as it is shown."""
    values = found.model_dump(include=set(RunShown.model_fields) - {"files", "skipped"})
    return RunShown(**values, skipped=found.skipped, files=files(found)).model_dump(mode="json")


def files(found: RunRecord) -> list[FileShown]:
    """Return the files of a run as they are shown."""
    personal = personal_files(found)
    return [
        FileShown(
            name=each["name"],
            sha256=each["sha256"],
            bytes=each["bytes"],
            rows=each.get("rows"),
            media_type=each["media_type"],
            personal=each["name"] in personal,
        )
        for each in found.files
    ]


def delivery(found: Delivery, definition_id: str, *, personal: bool) -> dict[str, Any]:
    """Return a delivery as it is shown; its receipt names recipients, who are persons."""
    values = found.model_dump(include=set(DeliveryShown.model_fields) - {"definition_id", "receipt"})
    receipt = found.receipt
    if receipt is not None and not personal:
        receipt = {name: value for name, value in receipt.items() if name not in {"recipients", "word"}}
    return DeliveryShown(**values, definition_id=definition_id, receipt=receipt).model_dump(mode="json")
