"""One export of a run, ready to be rendered: what is asked of its model, how its rows are shaped, its file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from include.connections import Secrets
from include.definitions.content import Part
from include.definitions.model import ExportDefinition
from include.definitions.naming import file_name, part_template, restated_template, whole_template
from include.definitions.occasion import name_values
from include.definitions.periods import Interval
from include.definitions.privacy import Privacy
from include.definitions.split import Split
from include.errors import BadInput
from include.formats import artefact, styles, xlsx
from include.formats.manifest import ManifestFile, file_entry
from include.formats.options import FileOptions, file_options
from include.formats.splitting import split
from include.ledger.columns import Column
from include.pipeline.asking import asked_of
from include.pipeline.checks import layout_of, split_of
from include.reports.agreement import Tally
from include.reports.engine.files import Spool
from include.reports.engine.render import Job
from include.reports.model import Asked, ReportModule
from include.shaping.privacy import Protector
from include.shaping.shape import Shape
from include.state.runs import RunRecord


@dataclass(frozen=True)
class Written:
    """A finished file in scratch, and what the manifest says of it."""

    path: Path
    entry: ManifestFile


@dataclass(frozen=True)
class Prepared:
    """A part of the definition with everything looked up that does not need the ledger."""

    definition: ExportDefinition
    part: Part
    run: RunRecord
    model: ReportModule
    asked: Asked
    shape: Shape
    file: FileOptions
    split: Split | None
    folder: Path
    tally: Tally
    secrets: Secrets
    protect: Protector
    waiting: Spool

    @property
    def export(self) -> str | None:
        """Return what the manifest calls it: its id within a pack."""
        return self.part.id if self.definition.exports else None

    def path(self, label: str | None = None, ending: str = "") -> Path:
        """Return where a file of it is written: of a split export, the one with this label."""
        template = _of_revision(self.part.file.name or "", self.file.extension, self.run)
        if label is not None:
            template = part_template(template, self.file.extension)
        values = _values(self.definition, self.part.id, self.run) | {"part": label or ""}
        name = file_name(template, values, self.file.extension)
        return self.folder / (name.removesuffix(self.file.extension) + ending + self.file.extension)

    def job(self) -> Job[list[Written]]:
        """Return the job whose sink writes the files; rows of a workbook's sheet wait for the others."""
        protect = self.protect

        def sink(batches: Iterator[pa.RecordBatch]) -> list[Written]:
            with _told_of(self.export):
                rows = map(protect, self.shape.apply(self.tally.watch(batches)))
                if self.definition.bundle == "workbook":
                    for batch in rows:
                        plain = [styles.plain(array) for array in batch.columns]
                        self.waiting.write(pa.RecordBatch.from_arrays(plain, names=batch.schema.names))
                    return []
                if self.split is None:
                    return [self._written(self.path(), protect.columns, rows)]
                parts = split(rows, protect.columns, self.split, self.file, self.folder)
                return [self._written(self.path(label), protect.columns, some) for label, some in parts]

        spared = self.part.id if self.part.if_missing == "leave_out" else ""
        return Job(self.model, self.asked, sink, spared)

    def _written(self, path: Path, columns: Sequence[Column], rows: Iterator[pa.RecordBatch]) -> Written:
        made = artefact.write(path, columns, rows, self.file, self.secrets)
        return Written(path, file_entry(made, columns, self.file, export=self.export))


def prepare(definition: ExportDefinition, run: RunRecord, scratch: Path, secrets: Secrets) -> list[Prepared]:
    """Return the run's exports in the order of the definition; their files will lie in folders of `scratch`."""
    prepared = []
    for index, part in enumerate(definition.parts):
        folder = scratch / f"export-{index}"
        folder.mkdir()
        prepared.append(_prepared(definition, part, run, folder, secrets))
    return prepared


def run_name(definition: ExportDefinition, run: RunRecord, extension: str) -> str:
    """Return the name of the run's archive, or of its manifest where it makes several files."""
    template = _of_revision(whole_template(definition.name_template), extension, run)
    return file_name(template, _values(definition, definition.id, run), extension)


def _prepared(
    definition: ExportDefinition, part: Part, run: RunRecord, folder: Path, secrets: Secrets
) -> Prepared:
    model, asked = asked_of(definition, part, run)
    layout = layout_of(part)
    shape = Shape(
        part, model.columns(asked.options), at=run.as_of, start=run.start, zone=definition.timezone, scratch=folder,
        layout=layout,
    )  # fmt: skip
    tally = Tally(part.id, part.model, asked)
    asked = replace(asked, wanted=shape.wanted | tally.reads, keep=part.filters)
    return Prepared(
        definition, part, run, model, asked, shape,
        file=_file(definition, part),
        split=split_of(part, layout, shape),
        folder=folder,
        tally=tally,
        secrets=secrets,
        protect=Protector(part.privacy or Privacy(), shape.columns, secrets, shape.fields),
        waiting=Spool(folder / "rows.arrow"),
    )  # fmt: skip


def _file(definition: ExportDefinition, part: Part) -> FileOptions:
    """Return how the part is written: a spreadsheet shows instants in the definition's zone, and names its sheets."""
    document = part.file.model_dump(exclude={"name"})
    if part.file.format == xlsx.KIND:
        own = {"timezone": definition.timezone}
        if definition.bundle == "workbook":
            own["sheet"] = part.id
        document["options"] = {**own, **part.file.options}
    return file_options(document)


@contextmanager
def _told_of(export: str | None) -> Iterator[None]:
    """Say of which export of a pack it is that something is wrong."""
    try:
        yield
    except BadInput as error:
        if export is None:
            raise
        problems = [replace(problem, where=f"{export}: {problem.where}") for problem in error.problems]
        raise BadInput(problems) from error


def _values(definition: ExportDefinition, export: str, run: RunRecord) -> dict[str, str]:
    """Return the placeholders' values; none depends on the chain, so a name is the same whenever it is made."""
    values = name_values(
        definition,
        occurrence=run.occurrence or run.as_of,
        interval=Interval(run.start, run.end) if run.end else None,
        as_of=run.as_of,
        export=export,
        revision=run.revision,
    )
    return dict(values)


def _of_revision(template: str, extension: str, run: RunRecord) -> str:
    return restated_template(template, extension) if run.revision else template
