"""The definition of an export: one strict model for YAML files, pages and REST, with its JSON schema."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from include.definitions.base import INSTANT_SCHEMA, Delay, Strict, instant_text, read_instant, refuse
from include.definitions.conditions import Conditions
from include.definitions.content import Content, Part
from include.definitions.file import NAME, PACK_NAME
from include.definitions.names import Identifier, Kind, Line, Options, repeated
from include.definitions.notify import Notify
from include.definitions.periods import UNITS, Period, PeriodKind
from include.definitions.privacy import ConnectionName
from include.definitions.restate import Restate
from include.definitions.retention import Retention
from include.definitions.schedule import Once, Recurrence, Schedule
from include.definitions.zones import zone

# A program for spreadsheets takes no longer name.
SHEET_NAME = 31
RESERVED = ("new",)  # as ids: the pages need these addresses
AS_OF_WORDS = (
    "period_end",
    "occurrence",
    *(f"end_of_previous_{unit}" for unit in UNITS),
    *(f"end_of_this_{unit}" for unit in UNITS),
)


def _as_of(value: object) -> str | datetime:
    if isinstance(value, str) and value in AS_OF_WORDS:
        return value
    if isinstance(value, str) and not value[:1].isdigit():
        words = ", ".join(AS_OF_WORDS)
        raise refuse(
            "unknown_as_of", f"must be one of {words}, or an instant such as 2026-02-01T00:00:00+01:00"
        )
    return read_instant(value)


def _free(value: str) -> str:
    if value in RESERVED:
        raise refuse("reserved_id", f"is the name of a page; choose another id than {', '.join(RESERVED)}")
    return value


def _kind_alone(value: object) -> object:
    """`previous_month` is short for `{kind: previous_month}`."""
    return {"kind": value} if isinstance(value, str) else value


AsOf = Annotated[
    str | datetime,
    PlainValidator(_as_of),
    PlainSerializer(lambda value: value if isinstance(value, str) else instant_text(value), when_used="json"),
    WithJsonSchema({"anyOf": [{"enum": list(AS_OF_WORDS)}, INSTANT_SCHEMA]}),
]


class Target(Strict):
    """One place where the files go."""

    kind: Kind
    """Kind of target."""
    name: Identifier | None = None
    """How runs and people call it; its kind when left out."""
    options: Options
    """Options of the target."""

    @property
    def label(self) -> str:
        """The name, or else the kind."""
        return self.name or self.kind


class ExportDefinition(Content):
    """One export: what is reported, about when, as which file, how often, and where it goes."""

    id: Annotated[Identifier, AfterValidator(_free)]
    """Never changes: runs, deliveries and the chain of manifests hang on it."""
    name: Line
    """What people call it."""
    description: str = Field("", max_length=2000)
    """What it is for."""
    owner: Line = "loyalty"
    """Who answers for it."""
    enabled: bool = True
    """`false`: it does not exist for Airflow and cannot run."""
    paused: bool = False
    """`true`: its schedule waits; it runs by hand only."""
    exports: list[Part] = Field(default_factory=list, max_length=50)
    """A pack, instead of a model: several exports of one snapshot, delivered together with one manifest."""
    model: Kind | None = Field(None, validate_default=True)
    """What is exported: a report, or a relation of the ledger."""
    bundle: Literal["none", "zip", "workbook"] = "none"
    """`zip`: all files of the run in one archive; `workbook`: its exports as sheets of one. `file` has its name."""
    timezone: str = Field("UTC", examples=["Europe/Paris"])
    """IANA time zone of schedule, periods and local dates."""
    period: (
        Annotated[Period, BeforeValidator(_kind_alone, json_schema_input_type=PeriodKind | Period)] | None
    ) = None
    """Which interval each run reports on: a kind alone, or a mapping."""
    as_of: AsOf | None = None
    """The instant T of the report: left out, the end of the period, else the occurrence."""
    schedule: Schedule | None = None
    """When it runs; left out, by hand only."""
    targets: list[Target] = Field(min_length=1, max_length=20)
    """Where the file goes."""
    conditions: Conditions = Field(default_factory=Conditions)
    """When the files are sent, and when somebody should look."""
    sign: ConnectionName | None = None
    """Connection whose extra holds an OpenPGP `private_key`, and whose password unlocks it: signs the manifest."""
    notify: Notify = Field(default_factory=Notify)
    """Who is told how a run ended, and when it is late."""
    restate: Restate = Field(default_factory=lambda: Restate.model_validate({}))
    """Whether late rows of delivered periods are looked for."""
    retention: Retention = Field(default_factory=Retention)
    """How long delivered files stay in the store."""
    settle_delay: Delay | None = None
    """How long after T a run waits for late rows; left out, as the installation says (5 minutes)."""

    @field_validator("exports")
    @classmethod
    def _exports_differ(cls, value: list[Part]) -> list[Part]:
        twice = repeated([part.id for part in value])
        if twice:
            raise refuse("export_twice", f"two exports are called {twice}; give one of them another id")
        named = [part.named(PACK_NAME) for part in value]
        shapes = {part.id: (part.file.name or "").replace("{export}", part.id) for part in named}
        twice = repeated([f"{shapes[part.id]} {part.file.format} {part.file.compression}" for part in named])
        if twice:
            right = f"two exports make files of the name {twice.split()[0]}; add {{export}} to file.name"
            raise refuse("file_name_twice", right)
        return value

    @field_validator("model")
    @classmethod
    def _something_is_exported(cls, value: str | None, others: ValidationInfo) -> str | None:
        if value is None and not others.data.get("exports", "wrong in its own right"):
            raise refuse("no_model", "needs a model to export, or a list of exports")
        return value

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            zone(value)
        except ValueError as error:
            raise refuse("unknown_time_zone", str(error)) from None
        return value

    @field_validator("targets")
    @classmethod
    def _labels_differ(cls, value: list[Target]) -> list[Target]:
        twice = repeated([target.label for target in value])
        if twice:
            raise refuse("target_twice", f"two targets are called {twice}; give one of them another name")
        return value

    @model_validator(mode="after")
    def _a_pack_is_not_one_export(self) -> ExportDefinition:
        given = set(self.document()) & (set(Content.model_fields) - {"file"} | {"model"})
        given |= {f"file.{name}" for name in self.file.model_dump(exclude_defaults=True) if name != "name"}
        if self.exports and given:
            first, *more = sorted(given)
            also = f", and {', '.join(more)} too" if more else ""
            raise refuse("not_of_a_pack", f"a pack has this in each of its exports{also}", at=first)
        if self.bundle == "workbook":
            self._check_sheets()
        return self

    def _check_sheets(self) -> None:
        if not self.exports:
            raise refuse(
                "workbook_of_one",
                "a workbook is of a pack; for one export choose file.format xlsx",
                at="bundle",
            )
        for index, part in enumerate(self.exports):
            at = f"exports[{index}]"
            given = sorted(set(part.file.model_dump(exclude_defaults=True)) - {"options"})
            if given:
                right = f"a sheet of a workbook has only options of its own: leave out {', '.join(given)} of {part.id}"
                raise refuse("not_of_a_sheet", right, at=f"{at}.file")
            if len(part.id) > SHEET_NAME:
                right = f"names a sheet, so the id {part.id} may have {SHEET_NAME} characters"
                raise refuse("long_sheet", right, at=f"{at}.id")

    @model_validator(mode="after")
    def _hangs_together(self) -> ExportDefinition:
        if self.period is None and self.as_of == "period_end":
            raise refuse("no_period", "as_of period_end needs a period", at="as_of")
        if self.period is not None and self.as_of not in (None, "period_end"):
            right = "with a period, T is its end: leave out one of period and as_of"
            raise refuse("period_and_as_of", right, at="as_of")
        since = self.period is not None and self.period.kind.startswith("since_")
        if since and (self.schedule is None or isinstance(self.schedule, Once)):
            right = "a period since something needs a schedule that recurs"
            raise refuse("no_previous_occurrence", right, at="period")
        return self

    @property
    def recurrence(self) -> Recurrence | None:
        """The schedule in its zone, None when it runs by hand only."""
        return None if self.schedule is None else Recurrence(self.schedule, self.timezone)

    @property
    def parts(self) -> tuple[Part, ...]:
        """What a run makes: the exports of a pack, or the one that the definition is; each with its file's name."""
        if self.exports:
            sheets = {"format": "xlsx"} if self.bundle == "workbook" else {}
            return tuple(part.named(PACK_NAME, **sheets) for part in self.exports)
        own = {name: getattr(self, name) for name in Content.model_fields}
        return (Part.model_construct(id=self.id, model=self.model or "", **own).named(NAME),)

    @property
    def follows_deliveries(self) -> bool:
        """Whether a run's period begins where the last one that was delivered ended."""
        return self.period is not None and self.period.kind == "since_last_delivery"

    @property
    def looks_back(self) -> bool:
        """Whether a run depends on what was delivered before it: then runs go one after another."""
        conditions = bool(self.conditions.only_when_changed or self.conditions.alerts)
        return self.follows_deliveries or conditions or any(part.compare is not None for part in self.parts)

    @property
    def name_template(self) -> str:
        """The template of the run's name: that of the archive, of the manifest, or of the only file."""
        return self.file.name or NAME

    def document(self) -> dict[str, Any]:
        """Return the definition as JSON values, without defaults; `load.from_document` reads it."""
        return self.model_dump(mode="json", exclude_defaults=True)


def version(definition: ExportDefinition) -> str:
    """Return the sha256 (hex) of what affects bytes or destination.

    Not in it: description, owner, schedule, pause and delay, and the display name where no file bears it.
    """
    keep = {
        *Content.model_fields,
        "id",
        "model",
        "exports",
        "bundle",
        "timezone",
        "period",
        "as_of",
        "targets",
        "sign",
    }
    templates = [definition.name_template, *(part.file.name or "" for part in definition.parts)]
    keep |= {"name"} if any("{name}" in template for template in templates) else set()
    document = {key: value for key, value in definition.document().items() if key in keep}
    text = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of a definition, as published in docs/reference."""
    schema = ExportDefinition.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
