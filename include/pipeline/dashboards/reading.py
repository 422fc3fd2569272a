"""Reading: the newest finished run of the export that dashboards are drawn from, and the rows of its files.

Files never change, so what was read once is held, by its hash; what was read is what the hash says, or is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from threading import Lock
from types import MappingProxyType
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from include.definitions.zones import last_day_before, local, zone
from include.errors import Permanent
from include.pipeline.context import Context
from include.snapshots.store import Missing
from include.state.runs import RunRecord

DASHBOARD = "dashboard"
"""The export whose files are drawn."""
FORMAT = ".jsonl"
LARGEST_BYTES = 64 * 1024 * 1024  # of a file that is drawn from: all of it is held in memory
_FILES_HELD = 24

Row = Mapping[str, Any]
_ByProgram = Mapping[str, Sequence[Row]]


class Source(NamedTuple):
    """A file that a chart is drawn from."""

    run_key: str
    name: str
    sha256: str


class Unreadable(Permanent):
    """There is no such file in the run, or nothing can be drawn from it; the message says why."""


@dataclass(frozen=True)
class Figures:
    """The files of one run. Days are those of `where`, whole ones only."""

    run: RunRecord
    context: Context

    @property
    def timezone(self) -> str:
        """The zone whose days are counted."""
        return str(self.run.definition.get("timezone", "UTC"))

    @property
    def where(self) -> ZoneInfo:
        """The zone whose days are counted."""
        return zone(self.timezone)

    @property
    def as_of(self) -> datetime:
        """Until when the figures go, itself not included."""
        return self.run.as_of

    @property
    def first_day(self) -> date:
        """The first day that the files hold."""
        return local(self.run.start or self.run.as_of, self.where).date()

    @property
    def last_day(self) -> date:
        """The last day that the files hold."""
        return last_day_before(self.run.as_of, self.where)

    def source(self, part: str) -> Source:
        """Return the file of an export of the pack; raise Unreadable where the run made none."""
        entry = self._entry(part)
        return Source(self.run.run_key, entry["name"], entry["sha256"])

    def rows(self, part: str, program: str) -> Sequence[Row]:
        """Return a program's rows of a file in their order: numbers are int or Decimal, days and instants text."""
        return _parsed(self.context, self._entry(part)).get(program, ())

    def programs(self) -> dict[str, str]:
        """Return the programs that the files know, and their names, by name."""
        found: dict[str, str] = {}
        for part in ("liability", "rollforward", "points", "members"):
            try:
                rows = _parsed(self.context, self._entry(part))
            except Unreadable:
                continue
            for program, own in rows.items():
                name = own[-1].get("program_name") if own else None
                found.setdefault(program, name or program)
        return dict(sorted(found.items(), key=lambda item: (item[1].casefold(), item[0])))

    def _entry(self, part: str) -> dict[str, Any]:
        for each in self.run.files:
            if each.get("export") == part:
                return each
        raise Unreadable(
            f"the run has no file of {part}: the ledger lacks what it needs, as the manifest of the run then says, or "
            f"the export {DASHBOARD} of this installation does without it"
        )


def newest(context: Context) -> Figures | None:
    """Return the run whose figures go furthest, of several the last restatement; None where no run has files."""
    run = context.state.runs.furthest(DASHBOARD)
    return None if run is None else Figures(run, context)


_held: OrderedDict[str, _ByProgram] = OrderedDict()
_lock = Lock()


def _parsed(context: Context, entry: Mapping[str, Any]) -> _ByProgram:
    sha256 = entry["sha256"]
    with _lock:
        if sha256 in _held:
            _held.move_to_end(sha256)
            return _held[sha256]
    found = _read(context, entry)
    with _lock:
        _held[sha256] = found
        while len(_held) > _FILES_HELD:
            _held.popitem(last=False)
    return found


def _read(context: Context, entry: Mapping[str, Any]) -> _ByProgram:
    name = entry["name"]
    if not name.endswith(FORMAT):
        raise Unreadable(f"{name} is not JSON Lines without compression, which dashboards are drawn from")
    if entry["bytes"] > LARGEST_BYTES:
        raise Unreadable(f"{name} is larger than the {LARGEST_BYTES >> 20} MiB that are drawn from")
    try:
        content = context.store.read(entry["key"])
    except Missing:
        raise Unreadable(f"{name} is not kept any more") from None
    if hashlib.sha256(content).hexdigest() != entry["sha256"]:
        raise Unreadable(f"{name} is not what the run made: its hash is another one")
    rows: defaultdict[str, list[Row]] = defaultdict(list)
    for line in content.splitlines():
        row = json.loads(line, parse_float=Decimal)
        rows[row["program_id"]].append(MappingProxyType(row))
    return dict(rows)
