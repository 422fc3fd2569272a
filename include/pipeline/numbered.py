"""Programs by the numbers that other systems know them by, with their tiers; remembered for a minute."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

from include.pipeline.context import Context
from include.pipeline.customers.look import opened
from include.pipeline.privacy import erasure_key

SECONDS = 10
REMEMBERED_SECONDS = 60.0
# A number that is not there is looked for again after so long: a program may be new.
_MISSED_SECONDS = 2.0
_TIERS = ("program_id", "subledger_id", "tier_id", "name", "rank", "threshold_points")
_PROGRAMS = ("program_id", "external_id", "name", "time_zone")


@dataclass(frozen=True)
class Step:
    """A tier. threshold: hundredths of points that reach it, None where the ledger does not say."""

    tier_id: str
    name: str
    subledger_id: str
    threshold: int | None


@dataclass(frozen=True)
class Program:
    """A program of the ledger, its number (`programs.external_id`), and its tiers, the lowest first."""

    program_id: str
    number: int
    name: str
    time_zone: str
    steps: tuple[Step, ...] = ()

    def ladder(self, subledger_id: str) -> tuple[Step, ...]:
        """Return the tiers that a subledger's points count for: its own, else those of the subledger ''."""
        own = tuple(step for step in self.steps if step.subledger_id == subledger_id)
        return own or tuple(step for step in self.steps if not step.subledger_id)

    def after(self, tier_id: str | None, subledger_id: str) -> Step | None:
        """Return the tier after one; the lowest for none; None after the last."""
        ladder = self.ladder(subledger_id)
        if tier_id is None:
            return ladder[0] if ladder else None
        ids = [step.tier_id for step in ladder]
        following = ids.index(tier_id) + 1 if tier_id in ids else len(ids)
        return ladder[following] if following < len(ids) else None

    def reached(self, points: int, subledger_id: str) -> Step | None:
        """Return the highest tier whose threshold so many hundredths of points reach."""
        there = [x for x in self.ladder(subledger_id) if x.threshold is not None and x.threshold <= points]
        return there[-1] if there else None

    def step(self, tier_id: str) -> Step | None:
        """Return the tier of this id."""
        return next((step for step in self.steps if step.tier_id == tier_id), None)


class _Remembered:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, dict[int, Program]]] = {}

    def find(self, context: Context, number: int) -> Program | None:
        ledger = context.settings.ledger_url
        at, known = self._known.get(ledger, (0.0, {}))
        age = time.monotonic() - at
        if at == 0.0 or age > REMEMBERED_SECONDS or (number not in known and age > _MISSED_SECONDS):
            with self._lock:
                if self._known.get(ledger, (0.0, {}))[0] == at:
                    self._known[ledger] = time.monotonic(), _read(context)
                known = self._known[ledger][1]
        return known.get(number)


_remembered = _Remembered()


def program_numbered(context: Context, number: int) -> Program | None:
    """Return the program of this number, the first by its id where several have it; None where none has.

    Raises Transient when the ledger cannot be reached, BadInput when its tables are wrong.
    """
    return _remembered.find(context, number)


def _read(context: Context) -> dict[int, Program]:
    with opened(context, SECONDS, erasure_key(context)) as ledger:
        programs = ledger.table("programs", _PROGRAMS, None).to_pylist()
        tiers = ledger.table("tiers", _TIERS, None).to_pylist()
    steps: dict[str, tuple[Step, ...]] = {}
    for row in sorted(tiers, key=_height):
        step = Step(row["tier_id"], row["name"], row["subledger_id"] or "", row["threshold_points"])
        steps[row["program_id"]] = (*steps.get(row["program_id"], ()), step)
    found: dict[int, Program] = {}
    for row in sorted(programs, key=lambda row: str(row["program_id"]).encode()):
        if row["external_id"] is not None:
            named = row["program_id"], row["external_id"], row["name"], row["time_zone"]
            found.setdefault(row["external_id"], Program(*named, steps.get(row["program_id"], ())))
    return found


def _height(tier: dict[str, Any]) -> tuple[int, int, bytes]:
    return tier["rank"] or 0, tier["threshold_points"] or 0, tier["tier_id"].encode()
