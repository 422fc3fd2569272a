"""A run against what was delivered last: is it worth sending, what changed, and did a total move too far?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from include.definitions.conditions import Alert, Compare, Conditions
from include.definitions.model import ExportDefinition
from include.errors import BadInput, Permanent
from include.formats import artefact, totals
from include.formats.diff import Difference, Side
from include.formats.manifest import SUFFIX, Changes, Manifest, ManifestFile, file_entry
from include.formats.reading import unpack_bundle
from include.ledger.catalog import FieldType
from include.pipeline.artefacts import why_gone
from include.pipeline.contents import Prepared, Written
from include.pipeline.context import Context
from include.state.runs import RunRecord, RunStatus

_RUNS_LOOKED_AT = 1000
# A restatement is sent when anything changed, whatever its definition asks of runs.
RESTATED = Conditions(only_when_changed=True)


@dataclass(frozen=True)
class Earlier:
    """What was delivered last: its manifest, and where its files are kept."""

    context: Context
    run: RunRecord
    manifest: Manifest

    def is_of(self, run: RunRecord) -> bool:
        """Whether it is of the same period, or T."""
        return (self.run.start, self.run.as_of) == (run.start, run.as_of)

    def entries(self, export: str | None) -> list[ManifestFile]:
        """Return the files of one export that hold its rows."""
        return [file for file in self.manifest.files if file.export == export and file.holds == "rows"]

    def side(self, export: str | None, folder: Path) -> Side:
        """Bring the files of one export to this machine."""
        folder.mkdir(parents=True, exist_ok=True)
        files = [(folder / entry.name, entry) for entry in self.entries(export)]
        kept = {each["name"]: each["key"] for each in self.run.files}
        if self.manifest.bundle is None:
            for path, entry in files:
                self.context.store.get_to(kept[entry.name], path)
        else:
            archive = folder / self.manifest.bundle.name
            unpack_bundle(self.context.store.get_to(kept[archive.name], archive), folder)
        return Side(files)


def earlier(context: Context, run: RunRecord, *, looks_back: bool) -> Earlier | None:
    """Return the newest run of the definition before this one that was delivered; None without one, or its manifest.

    Of a restatement, the newest one of its period; where that was skipped, the one that it was compared with, if any.
    Its files may have been removed; then its manifest is what is left.
    """
    done = context.state.runs.list(
        definition_id=run.definition_id, status=RunStatus.DONE, looks=False, limit=_RUNS_LOOKED_AT
    )
    before = [
        each
        for each in done
        if each.files and not each.dry_run and (each.as_of, each.revision) < (run.as_of, run.revision)
    ]
    if run.revision:
        of_period = [each for each in before if (each.start, each.as_of) == (run.start, run.as_of)]
        before = of_period or (before if looks_back else [])
    if not before:
        return None
    newest = max(before, key=lambda each: (each.as_of, each.revision))
    [kept] = [each for each in newest.files if each["name"].endswith(SUFFIX)]
    needed = [kept] if newest.files_gone_at else newest.files
    if not all(context.store.exists(each["key"]) for each in needed):
        return None
    return Earlier(context, newest, Manifest.model_validate_json(context.store.read(kept["key"])))


def reason_to_skip(
    conditions: Conditions, entries: Sequence[ManifestFile], last: Earlier | None
) -> str | None:
    """Return why nothing is sent, None where the files are; raise Permanent where an empty run is a failure.

    For a restatement, give `RESTATED` as the conditions.
    """
    if not any(entry.rows for entry in entries):
        if conditions.when_empty == "fail":
            raise Permanent("no file of this run has a row, and the definition says when_empty: fail")
        if conditions.when_empty == "skip":
            return "no file of this run has a row"
    if conditions.only_when_changed and last is not None:
        now, then = ([(x.export, x.uncompressed_sha256) for x in some] for some in (entries, _rows_of(last)))
        if list(now) == list(then):
            return f"nothing changed since {last.manifest.name} was delivered"
    return None


def _rows_of(last: Earlier) -> list[ManifestFile]:
    return [file for file in last.manifest.files if file.holds == "rows"]


def compare_of(part: Prepared, last: Earlier) -> Compare | None:
    """Return how an export is compared: as its definition says; with what it restates always, with a file."""
    asked = part.part.compare
    if not last.is_of(part.run):
        return asked
    if asked is None and not any(column.type is FieldType.ID for column in part.protect.columns):
        return None  # nothing tells its rows apart; its totals are told
    return Compare(key=asked.key if asked else [], file=part.definition.bundle != "workbook")


def compared(
    prepared: Sequence[Prepared], written: Sequence[Written], last: Earlier | None, scratch: Path
) -> tuple[list[Written], tuple[str, ...]]:
    """Return the files with what changed in each export since the last delivery, and the files of changes asked for.

    And a sentence for every export that should be compared with its last delivery and cannot.
    """
    done: list[Written] = []
    why_not: list[str] = []
    for part in prepared:
        own = [each for each in written if each.entry.export == part.export]
        asked = compare_of(part, last) if last is not None else None
        if asked is None or last is None or not own:
            done += own
            continue
        reason = _not_comparable(part, own, last)
        if reason is None:
            before = last.side(part.export, scratch / f"last-{part.part.id}")
            after = Side([(each.path, each.entry) for each in own])
            try:
                difference = Difference(before, after, asked.key, scratch)
            except BadInput as error:
                reason = f"not compared: {'; '.join(map(str, error.problems))}"
            else:
                with difference:
                    done += _told(own, last, difference)
                    done += [_changes_file(part, difference)] if asked.file else []
                continue
        why_not.append(f"{part.export or part.part.id}: {reason}")
        done += own
    return done, tuple(why_not)


def _told(own: Sequence[Written], last: Earlier, difference: Difference) -> Iterator[Written]:
    told = Changes(
        against=last.manifest.sha256(),
        added=difference.added,
        removed=difference.removed,
        changed=difference.changed,
        sentence=difference.sentence(),
    )
    return (Written(each.path, each.entry.model_copy(update={"changes": told})) for each in own)


def _not_comparable(part: Prepared, own: Sequence[Written], last: Earlier) -> str | None:
    """Return why an export cannot be compared with its last delivery, which another definition may have made."""
    then = last.entries(part.export)
    if last.run.files_gone_at is not None:
        return f"not compared, since the files of the last delivery {why_gone(last.run)}"
    if not then:
        return "nothing to compare with, since the last delivery did not have it"
    if any(entry.encryption for entry in then):
        return "not compared, since only its recipients can read the last delivery"
    before, after = ([column.name for column in entry.columns] for entry in (then[0], own[0].entry))
    if before != after:
        return f"not compared, since the columns of the last delivery were others: {', '.join(before)}"
    return None


def _changes_file(part: Prepared, difference: Difference) -> Written:
    path = part.path("changes") if part.split else part.path(ending="_changes")
    made = artefact.write(path, difference.written, difference.batches(), part.file, part.secrets)
    entry = file_entry(made, difference.written, part.file, export=part.export)
    return Written(path, entry.model_copy(update={"holds": "changes"}))


def alerts(
    definition: ExportDefinition, entries: Sequence[ManifestFile], last: Earlier | None
) -> tuple[str, ...]:
    """Return a sentence for every total that moved further than its alert allows."""
    if last is None:
        return ()
    found = []
    for alert in definition.conditions.alerts:
        for export in dict.fromkeys(entry.export for entry in entries):
            if alert.export in (None, export):
                found += _moved(alert, export, entries, _rows_of(last))
    return tuple(found)


def restated(entries: Sequence[ManifestFile], last: Earlier | None) -> tuple[str, ...]:
    """Return the sentences with which a restatement says what it restates (None: nothing), and how each total moved."""
    if last is None:
        return ("nothing was delivered of this period before",)
    found = [f"restates {last.manifest.name}, revision {last.run.revision} of the period"]
    for export in dict.fromkeys(entry.export for entry in entries):
        before, after = (_totals(some, export) for some in (_rows_of(last), entries))
        for column, then, now in totals.moved(before, after):
            name = f"{export}: {column}" if export else column
            found.append(f"{name}: {then:,f} became {now:,f}")
    return tuple(found)


def _moved(
    alert: Alert, export: str | None, entries: Sequence[ManifestFile], last: Sequence[ManifestFile]
) -> list[str]:
    before, after = (
        {
            name: total
            for name, total in _totals(some, export).items()
            if name == alert.column or name.startswith(f"{alert.column} (")
        }
        for some in (last, entries)
    )
    found = []
    for column, then, now in totals.moved(before, after) if before and after else ():
        moved = abs(now - then) * 100
        if moved <= abs(then) * alert.moved_more_than:
            continue
        name = f"{export}: {column}" if export else column
        percent = f"by {moved / abs(then):,.1f} %" if then else "from nothing"
        found.append(
            f"{name} moved {percent}, from {then:,f} to {now:,f} (alert above {alert.moved_more_than} %)"
        )
    return found


def _totals(entries: Sequence[ManifestFile], export: str | None) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for entry in entries:
        if entry.export == export and entry.holds == "rows":
            for name, total in entry.totals.items():
                found[name] = found.get(name, Decimal(0)) + Decimal(total)
    return found
