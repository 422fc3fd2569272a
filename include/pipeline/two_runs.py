"""Any two runs of an export beside each other: totals that moved, rows added, removed and changed, with their values.

Files are read from the store, and only so many rows, since people wait for the answer; the totals come from the
manifests, which are kept when the files are gone.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from include.definitions.load import from_document
from include.errors import BadInput, LoyaltyError, Problem, Transient
from include.formats.diff import Difference, Pair
from include.formats.manifest import SUFFIX, Manifest, ManifestFile
from include.ledger.columns import Column
from include.pipeline.artefacts import why_gone
from include.pipeline.changes import Earlier
from include.pipeline.checks import personal_parts
from include.pipeline.context import Context
from include.scratch import working_folder
from include.state.runs import RunRecord

MOST_ROWS = 400_000
MOST_BYTES = 256 * 2**20
ROWS_AT_ONCE = 50
_AT_ONCE = threading.BoundedSemaphore(2)
_WAIT_SECONDS = 20


class Moved(NamedTuple):
    """A total, before and after; None where a run does not have it."""

    name: str
    before: Decimal | None
    after: Decimal | None

    @property
    def by(self) -> Decimal | None:
        """How far it moved."""
        return None if self.before is None or self.after is None else self.after - self.before


@dataclass(frozen=True)
class Compared:
    """One export of two runs. why_not: why its rows could not be compared; then the counts are None.

    pairs: some of the rows that differ, None where their values are not to be shown: `is_personal` says why.
    """

    export: str | None
    rows: tuple[int | None, int | None]
    totals: tuple[Moved, ...]
    why_not: str | None = None
    counts: tuple[int, int, int] | None = None
    columns: tuple[Column, ...] = ()
    key: tuple[str, ...] = ()
    pairs: tuple[Pair, ...] | None = None
    is_personal: bool = False

    @property
    def differing(self) -> int:
        """How many rows differ."""
        return sum(self.counts or ())


def compare(
    context: Context,
    before: RunRecord,
    after: RunRecord,
    *,
    show_personal: bool,
    export: str | None = None,
    page: int = 1,
) -> list[Compared]:
    """Return every export of two runs of one definition, compared.

    show_personal: whether values of personal data may be seen. page (from 1) is of the rows of `export`, of others the
    first are returned. Raises BadInput for a run that has made no files, Transient while too many are compared.
    """
    then, now = _made(context, before), _made(context, after)
    names = list(dict.fromkeys(file.export for made in (then, now) for file in made.manifest.files))
    return [
        _compared(context, then, now, name, show_personal=show_personal, page=page if name == export else 1)
        for name in names
    ]


def _made(context: Context, run: RunRecord) -> Earlier:
    kept = [each for each in run.files if each["name"].endswith(SUFFIX)]
    if not kept:
        right = f"has no files to compare: {run.skipped or run.status.value}"
        raise BadInput([Problem("run", run.run_key[:12], right, "nothing_to_compare")])
    manifest = Manifest.model_validate_json(context.store.read(kept[0]["key"]))
    return Earlier(context, run, manifest)


def _compared(
    context: Context, then: Earlier, now: Earlier, export: str | None, *, show_personal: bool, page: int
) -> Compared:
    entries = then.entries(export), now.entries(export)
    rows = tuple(sum(each.rows for each in some) if some else None for some in entries)
    totals = _totals(*entries)
    about = Compared(export, (rows[0], rows[1]), totals)
    if why := _why_not(then, now, export):
        return Compared(export, about.rows, totals, why_not=why)
    part = export or str(now.run.definition.get("id"))
    is_personal = _is_personal(now.run, part) or _is_personal(then.run, part)
    try:
        with _compares(), working_folder(context.settings.scratch, "compare") as scratch:
            sides = then.side(export, scratch / "then"), now.side(export, scratch / "now")
            with Difference(*sides, _key(now.run, export), scratch) as difference:
                return Compared(
                    export,
                    about.rows,
                    totals,
                    counts=(difference.added, difference.removed, difference.changed),
                    columns=tuple(difference.columns),
                    key=tuple(difference.key),
                    pairs=None
                    if is_personal and not show_personal
                    else tuple(difference.pairs((page - 1) * ROWS_AT_ONCE, ROWS_AT_ONCE)),
                    is_personal=is_personal,
                )
    except BadInput as error:
        return Compared(export, about.rows, totals, why_not="; ".join(map(str, error.problems)))


@contextmanager
def _compares() -> Iterator[None]:
    if not _AT_ONCE.acquire(timeout=_WAIT_SECONDS):
        raise Transient("other runs are being compared; try again in a minute")
    try:
        yield
    finally:
        _AT_ONCE.release()


def _totals(then: Sequence[ManifestFile], now: Sequence[ManifestFile]) -> tuple[Moved, ...]:
    names = dict.fromkeys(name for entry in (*then, *now) for name in entry.totals)
    return tuple(Moved(name, _total(then, name), _total(now, name)) for name in names)


def _total(entries: Sequence[ManifestFile], name: str) -> Decimal | None:
    found = [Decimal(entry.totals[name]) for entry in entries if name in entry.totals]
    return sum(found, Decimal(0)) if found else None


def _why_not(then: Earlier, now: Earlier, export: str | None) -> str | None:
    """Return why the rows of an export cannot be compared here, as a sentence without its end."""
    for made in (then, now):
        if why := _why_not_there(made, export):
            return why
    entries = [*then.entries(export), *now.entries(export)]
    if any(entry.encryption for entry in entries):
        return "the files are encrypted, and only their recipients can read them"
    rows, size = sum(each.rows for each in entries), sum(each.uncompressed_bytes for each in entries)
    if rows > MOST_ROWS or size > MOST_BYTES:
        return (
            f"the files have {rows:,} rows together, too many to compare while somebody waits (at most {MOST_ROWS:,} "
            f"rows and {MOST_BYTES // 2**20} MB): download both runs, and ask `loyalty export diff` for it"
        )
    return None


def _why_not_there(made: Earlier, export: str | None) -> str | None:
    run = made.run
    if run.files_gone_at is not None:
        return f"the files of run {run.run_key[:12]} {why_gone(run)}"
    if not made.entries(export):
        return f"run {run.run_key[:12]} did not make this export"
    if not all(made.context.store.exists(each["key"]) for each in run.files):
        return f"files of run {run.run_key[:12]} are not in the store any more"
    return None


def _key(run: RunRecord, export: str | None) -> list[str]:
    """Return the columns that tell rows apart, as the definition says; empty where it says nothing."""
    definition = from_document(run.definition, where=run.definition_id)
    asked = next((part.compare for part in definition.parts if export in (None, part.id)), None)
    return list(asked.key) if asked else []


def _is_personal(run: RunRecord, part: str) -> bool:
    """Say whether a part's files hold personal data in clear; what cannot be told may."""
    try:
        return part in personal_parts(from_document(run.definition, where=run.definition_id))
    except LoyaltyError:
        return True
