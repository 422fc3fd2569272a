"""One export of a run, ready to be rendered: what is asked of its model, how its rows are shaped, its file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from include.connections import Secrets
from include.definitions.content import Part
from include.definitions.model import ExportDefinition
from include.definitions.naming import file_name
from include.definitions.occasion import name_values
from include.definitions.periods import Interval
from include.definitions.privacy import Privacy, minimum
from include.formats import artefact
from include.formats.manifest import ManifestFile, file_entry
from include.formats.options import FileOptions, file_options
from include.ledger.columns import Column
from include.pipeline.checks import model_of
from include.reports.agreement import Tally
from include.reports.model import Asked, Needs
from include.reports.render import Job
from include.shaping.privacy import Protector
from include.state.runs import RunRecord
from include.state.tables import microseconds


@dataclass(frozen=True)
class Written:
    """A finished file in scratch, and what the manifest says of it."""

    path: Path
    entry: ManifestFile


@dataclass(frozen=True)
class Prepared:
    """A part of the definition with everything looked up that does not need the ledger."""

    part: Part
    model: Any
    asked: Asked
    file: FileOptions
    path: Path
    pack: bool
    tally: Tally
    secrets: Secrets

    @property
    def export(self) -> str | None:
        """Return what the manifest calls it: its id within a pack."""
        return self.part.id if self.pack else None

    @property
    def needs(self) -> Needs:
        """Return the relations and columns that its model reads."""
        needs: Needs = self.model.needs(self.asked.options)
        return needs

    def job(self) -> Job[list[Written]]:
        """Return the job whose sink writes the file."""
        given = self.model.columns(self.asked.options)
        plain, places = chosen(self.part, given)
        names = [given[place].name for place in places]
        protect = Protector(self.part.privacy or Privacy(), plain, self.secrets, names)
        columns = protect.columns

        def sink(batches: Iterator[pa.RecordBatch]) -> list[Written]:
            rows = map(protect, _arranged(self.tally.watch(batches), plain, places))
            made = artefact.write(self.path, columns, rows, self.file, self.secrets)
            entry = file_entry(made, columns, self.file, export=self.export)
            return [Written(self.path, entry)]

        return Job(self.model, self.asked, sink)


def prepare(definition: ExportDefinition, run: RunRecord, folder: Path, secrets: Secrets) -> list[Prepared]:
    """Return the run's exports in the order of the definition; their files will lie in `folder`."""
    return [_prepared(definition, part, run, folder, secrets) for part in definition.parts]


def run_name(definition: ExportDefinition, run: RunRecord, extension: str) -> str:
    """Return the name of the run's archive, or of its manifest where it makes several files."""
    return file_name(definition.name_template, _values(definition, definition.id, run), extension)


def _prepared(
    definition: ExportDefinition, part: Part, run: RunRecord, folder: Path, secrets: Secrets
) -> Prepared:
    model, options = model_of(part)
    file = file_options(part.file.model_dump(exclude={"name"}))
    # In a pack, what is about one instant is about the end of the pack's period.
    of_period = model.PERIOD != "none"
    asked = Asked(
        start=_micros(run.start) if of_period else None,
        end=_micros(run.end) if of_period else None,
        as_of=microseconds(run.as_of),
        known_at=microseconds(run.known_at),
        options=options,
        timezone=definition.timezone,
    )
    name = file_name(part.file.name or "", _values(definition, part.id, run), file.extension)
    tally = Tally(part.id, part.model, asked)
    return Prepared(part, model, asked, file, folder / name, bool(definition.exports), tally, secrets)


def _values(definition: ExportDefinition, export: str, run: RunRecord) -> Any:
    """Return the placeholders' values; the sequence is the revision's, since a name must not depend on the chain."""
    return name_values(
        definition,
        occurrence=run.occurrence or run.as_of,
        interval=Interval(run.start, run.end) if run.end else None,
        as_of=run.as_of,
        export=export,
        revision=run.revision,
    )


def chosen(part: Part, given: tuple[Column, ...]) -> tuple[list[Column], list[int]]:
    """Return the columns of the file, in its order and with its headers, and their places in the model."""
    places = {column.name: index for index, column in enumerate(given)}
    if part.fields is None:
        kept = minimum(given, part.privacy)
        return list(kept), [places[column.name] for column in kept]
    picked = [(choice.title, places[choice.field]) for choice in part.fields]
    return [given[place]._replace(name=title) for title, place in picked], [place for _, place in picked]


def _arranged(
    batches: Iterator[pa.RecordBatch], columns: list[Column], places: list[int]
) -> Iterator[pa.RecordBatch]:
    names = [column.name for column in columns]
    for batch in batches:
        yield pa.RecordBatch.from_arrays([batch.column(place) for place in places], names=names)


def _micros(moment: datetime | None) -> int | None:
    return None if moment is None else microseconds(moment)
