"""An import as a page shows it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from include.imports.effects import RowOutcome, RowStatus
from include.pipeline.imports.telling import figures, points, what
from include.state.imports import ImportRecord, ImportState

HIDDEN = "\N{BULLET}" * 3
BADGES = {
    ImportState.RECEIVED: ("is rehearsed", "busy"),
    ImportState.REHEARSED: ("rehearsed", "warn"),
    ImportState.WAITING: ("waits for a second person", "warn"),
    ImportState.POSTING: ("is posted", "busy"),
    ImportState.POSTED: ("posted", "good"),
    ImportState.WRONG: ("wrong rows", "bad"),
    ImportState.REFUSED: ("refused", "quiet"),
    ImportState.UNDONE: ("taken back", "quiet"),
}
AT_WORK = frozenset({ImportState.RECEIVED, ImportState.POSTING})
# A value of the file, as problems quote it, and as the cell of a column; these columns say nothing of a person.
_QUOTED = r"""(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
_CELL = re.compile(
    rf"(^|; )((?!(?:points|balance|expir|start)[^:;]*? ['\"])[^:;]*? ){_QUOTED}(?=: )", re.IGNORECASE
)
_VALUE = re.compile(rf": {_QUOTED}: ")
_KINDS = {"done": "good", "skipped": "quiet", "wrong": "bad"}


@dataclass(frozen=True)
class ShownImport:
    """An import with the words for it."""

    record: ImportRecord

    @property
    def badge(self) -> tuple[str, str]:
        """Return the state in words, and the badge's kind."""
        if self.record.state is ImportState.REHEARSED and self.record.decision == "approved":
            return "approved", "busy"
        if self.reopened:
            return "to rehearse again", "warn"
        return BADGES[self.record.state]

    @property
    def what(self) -> str:
        """Return what it does, and where."""
        return what(self.record.options)

    @property
    def figures(self) -> list[tuple[str, str]]:
        """Return the rehearsal in total."""
        return figures(self.record.rehearsal) if self.record.rehearsal else []

    @property
    def moved(self) -> str:
        """Return the points that go in and out: `+1,200, -50`; empty where none do."""
        seen = self.record.receipt or self.record.rehearsal
        if seen is None:
            return ""
        sums = [(seen.points_in, "+"), (seen.points_out, "")]
        return ", ".join(sign + points(each) for each, sign in sums if each)

    @property
    def reopened(self) -> bool:
        """Return whether posting found that balances had changed since the rehearsal, so that it needs another one."""
        return self.record.state is ImportState.RECEIVED and self.record.rehearsal is not None

    @property
    def at_work(self) -> bool:
        """Return whether Airflow has something to do for it now."""
        return not self.reopened and (self.record.state in AT_WORK or self.badge[0] == "approved")


def hidden(outcome: RowOutcome) -> RowOutcome:
    """Return a row without what the file says of its member, but for the id by which it was found."""
    told = _CELL.sub(rf"\1\2{HIDDEN}", outcome.message)
    found: dict[str, Any] = {"message": told, "birthday_before": None, "birthday_after": None}
    if outcome.member and outcome.member not in {outcome.customer, outcome.card}:
        found |= {"member": HIDDEN, "message": told.replace(outcome.member, HIDDEN)}
    return outcome.model_copy(update=found)


def unnamed(record: ImportRecord) -> ImportRecord:
    """Return an import without what its file says: the notes on one that cannot be read quote it."""
    seen = record.rehearsal
    if seen is None or seen.rows or not seen.wrong:
        return record
    notes = tuple(_VALUE.sub(f": {HIDDEN}: ", note) for note in seen.notes)
    return record.model_copy(update={"rehearsal": seen.model_copy(update={"notes": notes})})


def row(outcome: RowOutcome, *, personal: bool) -> dict[str, Any]:
    """Return a row as texts. personal: what the file says of its member is shown."""
    outcome = outcome if personal else hidden(outcome)
    known_amounts = (outcome.points, outcome.balance_before, outcome.balance_after)
    amounts = (None, None, None) if outcome.status is RowStatus.WRONG else known_amounts
    return {
        "row": outcome.row,
        "member": outcome.member,
        "found": outcome.card or outcome.customer or "",
        "amounts": ["" if each is None else points(each) for each in amounts],
        "status": outcome.status.value,
        "kind": _KINDS[outcome.status.value],
        "message": outcome.said,
    }


def rows(outcomes: Sequence[RowOutcome], *, personal: bool) -> list[dict[str, Any]]:
    """Return rows as texts."""
    return [row(each, personal=personal) for each in outcomes]
