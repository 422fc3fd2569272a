"""Which runs are rendered in one pass: whoever renders first takes others of its snapshot along.

A pass holds a lease on each of its runs: so a run is in one pass at most, one that is in none waits for nobody, and
those of a pass that died are free again as soon as its leases have expired.
"""

from __future__ import annotations

import logging
import os
import secrets as random
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import ValidationError

from include.connections import Secrets
from include.definitions.model import ExportDefinition
from include.errors import LoyaltyError, NotYet
from include.pipeline.artefacts import SHOWN_CHARACTERS
from include.pipeline.asking import reports_of
from include.pipeline.context import Context, Progress, silent
from include.pipeline.pace import time_left
from include.pipeline.privacy import secrets_of
from include.pipeline.snapshot import rebound
from include.state.runs import RunRecord, RunStatus

LOG = logging.getLogger(__name__)
LEASE = timedelta(seconds=60)
_ASK_AGAIN = timedelta(seconds=5)
_ASK_AGAIN_LATEST = timedelta(seconds=60)


# MiB that others may take in a pass beside its first run, and what is kept of it for each report and each instant at
# which accounts are booked: more than was ever seen (docs/scale.md). Who only writes another file takes none.
_ROOM, _REPORT, _INSTANT = 110, 8, 10
# Whose files are written one after another, before the first run goes on.
_MOST_RUNS = 100


@dataclass(frozen=True)
class Member:
    """A run in a pass, and the connections that its files need."""

    run: RunRecord
    secrets: Secrets


class Room:
    """The memory that the runs of a pass take: the first one has what any run may have, the others share the rest."""

    def __init__(self, first: RunRecord, definition: ExportDefinition) -> None:
        self._left = float(_ROOM)
        self._runs = 1
        self._reports = set(reports_of(first, definition))
        self._instants = {_instants(first)}
        self._definitions = {first.definition_id}

    def has(self, run: RunRecord, definition: ExportDefinition) -> bool:
        """Say whether there is room for a run. What is compared with its last delivery goes one after another."""
        again = definition.looks_back and run.definition_id in self._definitions
        return not again and self._runs < _MOST_RUNS and self._needs(run, definition) <= self._left

    def keep(self, run: RunRecord, definition: ExportDefinition) -> None:
        """Keep room for a run."""
        self._left -= self._needs(run, definition)
        self._runs += 1
        self._reports |= reports_of(run, definition).keys()
        self._instants.add(_instants(run))
        self._definitions.add(run.definition_id)

    def _needs(self, run: RunRecord, definition: ExportDefinition) -> float:
        more = 0 if _instants(run) in self._instants else _INSTANT
        return more + _REPORT * len(reports_of(run, definition).keys() - self._reports)


def _instants(run: RunRecord) -> tuple[datetime | None, ...]:
    """Return what decides at which instants accounts are booked for a run."""
    return run.start, run.as_of, run.known_at


@contextmanager
def led(context: Context, run: RunRecord, secrets: Secrets) -> Iterator[list[Member]]:
    """Give the runs of a pass that nobody else renders meanwhile: first `run`, as it is now, then those taken along.

    Raises NotYet while another pass, or another attempt, makes the files of `run`.
    """
    owner = f"{socket.gethostname()}-{os.getpid()}-{random.token_hex(6)}"
    with ExitStack() as held:
        first = _held(context, held, run, owner)
        if first is None:
            left = time_left(run) or timedelta(0)
            until = datetime.now(UTC) + min(max(left, _ASK_AGAIN), _ASK_AGAIN_LATEST)
            raise NotYet(f"{run.definition_id}: its files are being made ({run.stage})", until)
        if first.artefacts is not None or rebound(context, run.run_key) is None:
            yield [Member(first, secrets)]
            return
        first = context.state.runs.get(run.run_key)
        yield [Member(first, secrets), *_others(context, held, first, owner)]


def recorded(context: Context, members: Sequence[Member], progress: Progress) -> Progress:
    """Return `progress` that is written into the record of every run, with whom it is made."""
    first, *others = (member.run for member in members)
    told = [(context.recorded(first.run_key, silent), f" with {len(others)} other runs")]
    whom = f" with run {shown(first)}"
    told += [(context.recorded(each.run_key, silent, unless_made=True), whom) for each in others]

    def report(stage: str, rows_done: int, rows_total: int | None) -> None:
        progress(stage, rows_done, rows_total)
        for record, whom in told:
            record(stage + whom, rows_done, rows_total)

    return report


def all_secrets(members: Sequence[Member]) -> Secrets:
    """Return the connections of all runs; those of one name are one connection."""
    known = {name: each for member in members for name, each in member.secrets.connections.items()}
    return Secrets(members[0].secrets.keys, known)


def shown(run: RunRecord) -> str:
    """Return how people call a run."""
    return run.run_key[:SHOWN_CHARACTERS]


def _others(context: Context, held: ExitStack, first: RunRecord, owner: str) -> Iterator[Member]:
    """Yield the runs that are taken along, as many as there is room for; nobody waits for those that are not."""
    room = Room(first, ExportDefinition.model_validate(first.definition))
    for run in _due(context, first):
        try:
            definition = ExportDefinition.model_validate(run.definition)
            has_room = room.has(run, definition)
            secrets = secrets_of(context, definition)
        except (LoyaltyError, ValidationError):
            continue  # its own task says why
        if has_room and (mine := _held(context, held, run, owner, first.snapshot_id)):
            room.keep(run, definition)
            yield Member(mine, secrets)


def _due(context: Context, first: RunRecord) -> Iterator[RunRecord]:
    """Yield the other runs that have no files yet and read the same snapshot, or wait for such a one."""
    runs = context.state.runs
    assert first.snapshot_id is not None
    yield from (each for each in runs.unrendered(first.snapshot_id) if each.run_key != first.run_key)
    for each in runs.unbound():
        with suppress(LoyaltyError, ValidationError):
            if rebound(context, each.run_key) == first.snapshot_id:
                yield each


def _held(
    context: Context, held: ExitStack, run: RunRecord, owner: str, snapshot_id: str | None = None
) -> RunRecord | None:
    """Take the lease on a run; return it as it is now, None where it is another's, or over or read elsewhere now."""
    leases = context.state.leases
    lease = leases.acquire(f"render {run.run_key}", owner, LEASE)
    if lease is None:
        return None
    now = context.state.runs.get(run.run_key)
    is_open = now.status in (RunStatus.PINNED, RunStatus.RUNNING) and now.artefacts is None
    if snapshot_id is not None and not (is_open and now.snapshot_id == snapshot_id):
        leases.forget(lease)
        return None
    held.enter_context(leases.kept(lease, LEASE, once=True))
    return now
