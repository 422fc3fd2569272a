"""Waves of deliveries: each attempt is killed, what can be seen is looked at, the next attempts finish, all is counted."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from include.definitions.load import from_document
from include.formats import artefact
from include.formats.manifest import Manifest, Origin, file_entry, manifest_of
from include.formats.options import FileOptions
from include.ledger.catalog import FieldType
from include.ledger.columns import Column
from include.pipeline import Context
from include.pipeline.artefacts import entries
from include.pipeline.resolving import resolve
from include.state.deliveries import DeliveryState
from include.state.runs import RunRecord
from include.state.tables import DELIVERIES
from tests.benchmarks.killing.nursery import End, Nursery
from tests.benchmarks.killing.places import Place
from tests.state.expiry import expire

COLUMNS = [Column("id", FieldType.ID), Column("note", FieldType.TEXT), Column("points", FieldType.POINTS)]
WAVE = 24
MOST_ATTEMPTS = 40
# Of the kills: at points in their order, at a point by chance; the rest at a moment.
SECOND_KILL, AT_A_POINT = 0.25, 0.6


@dataclass
class Count:
    """What was found at one place. partial, early, doubled, lost and wrong must be 0; `wrong`: the record says otherwise."""

    kills: int = 0
    at: Counter[str] = field(default_factory=Counter)
    points: set[tuple[int, int]] = field(default_factory=set)
    seen: Counter[str] = field(default_factory=Counter)
    deliveries: int = 0
    held: int = 0
    partial: int = 0
    early: int = 0
    doubled: int = 0
    lost: int = 0
    wrong: int = 0
    left: int = 0
    told: list[str] = field(default_factory=list)


@dataclass
class Sent:
    """One delivery: its run, what its names must hold, and how its last attempt ended."""

    run_key: str
    contents: dict[str, bytes]
    size: int
    end: End = field(default_factory=End)


class Field:
    """One place, with the runs whose files are brought there."""

    def __init__(self, place: Place, home: Path, context: Context, nursery: Nursery, seed: int) -> None:
        self.place, self.count = place, Count()
        self._home, self._context, self._nursery = home, context, nursery
        self._chance = random.Random(f"{seed} {place.name}")
        self._number = 0
        self._made = {size: self._content(size) for size in dict.fromkeys(place.sizes)}
        self._reach: dict[int, tuple[int, float]] = {}
        self._next: dict[int, int] = dict.fromkeys(self._made, 0)

    def calibrate(self) -> None:
        """See how many points an attempt passes, and how long it takes, by size."""
        for size in self._made:
            sent, began = self._new(size), time.monotonic()
            sent.end = self._attempt(sent)
            if sent.end.said != "done":
                raise RuntimeError(f"{self.place.name}: {sent.end}")
            self._reach[size] = sent.end.points, time.monotonic() - began
            self._settled(sent)
            self.place.forget(list(sent.contents))

    def wave(self) -> None:
        """Kill a wave of deliveries and finish them."""
        sizes = self.place.sizes
        wave = [self._new(sizes[each % len(sizes)]) for each in range(WAVE)]
        for sent in wave:
            self._kill(sent)
            self._visible(sent)
        for sent in wave:
            if self._chance.random() < SECOND_KILL:
                self._kill_again(sent)
                self._visible(sent)
        for sent in wave:
            self._finish(sent)
            self._settled(sent)
        left = self.place.left()
        self.count.left += len(left)
        self.count.told += [f"left behind: {name}" for name in left[:3]]
        self.place.forget([name for sent in wave for name in sent.contents])

    # One delivery

    def _kill(self, sent: Sent) -> None:
        points, seconds = self._reach[sent.size]
        point = self._next[sent.size]
        if point < points:
            self._next[sent.size] += 1
            self._killed(sent, point=point)
        elif self._chance.random() < AT_A_POINT:
            self._killed(sent, point=self._chance.randrange(points))
        else:
            self._killed(sent, after=self._chance.random() * seconds)

    def _kill_again(self, sent: Sent) -> None:
        if sent.end.said != "done":
            self._wait(sent)
            self._killed(sent, point=self._chance.randrange(self._reach[sent.size][0]))

    def _wait(self, sent: Sent) -> None:
        """Let the lease of the killed attempt be over, as it is after a retry's delay."""
        expire(self._context.state, DELIVERIES, DELIVERIES.c.run_key == sent.run_key)

    def _killed(self, sent: Sent, **how: Any) -> None:
        sent.end = self._attempt(sent, **how)
        if sent.end.killed:
            self.count.kills += 1
            self.count.at[sent.end.killed] += 1
            if "point" in how:
                self.count.points.add((sent.size, how["point"]))

    def _attempt(self, sent: Sent, **how: Any) -> End:
        where = {"home": str(self._home), "state_url": self._context.settings.state_url}
        return self._nursery.attempt(**where, run_key=sent.run_key, **self.place.task(), **how)

    def _finish(self, sent: Sent) -> None:
        """Try as Airflow would, until it is done."""
        for _ in range(MOST_ATTEMPTS):
            if sent.end.said == "done":
                return
            if sent.end.said.startswith("uncertain"):
                self._ask_a_person(sent)
            self._wait(sent)
            sent.end = self._attempt(sent)
        self.count.wrong += 1
        self.count.told.append(f"never done: {sent.end}")

    def _ask_a_person(self, sent: Sent) -> None:
        """Somebody looks there, and says whether it has what the message names."""
        self.count.held += 1
        (delivery,) = self._context.state.deliveries.list(run_key=sent.run_key)
        named = [name for name in sent.contents if f"{name}," in sent.end.said or f"{name}." in sent.end.said]
        looked_for = named or list(sent.contents)
        arrived = all(self.place.find(name) for name in looked_for)
        resolve(self._context, delivery, arrived=arrived)

    def _visible(self, sent: Sent) -> None:
        """Look at the names after a kill: absent or whole, the manifest not before its file."""
        copies = {name: self.place.find(name) for name in sent.contents}
        for name, content in sent.contents.items():
            if any(copy != content for copy in copies[name]):
                self.count.partial += 1
                self.count.told.append(f"partial: {name} after {sent.end}")
        there = [bool(copies[name]) for name in sent.contents]
        if there == [False, True] and not self.place.holds:
            self.count.early += 1
        self.count.seen["all" if all(there) else "some" if any(there) else "nothing"] += 1
        state = self._state(sent)
        if state is DeliveryState.CONFIRMED and not all(there):
            self.count.wrong += 1
            self.count.told.append(f"confirmed without its files: {sent.end}")

    def _settled(self, sent: Sent) -> None:
        """Look at everything when it is over: one of each, byte for byte, and the record says so."""
        self.count.deliveries += 1
        there = {name: self.place.find(name) for name in sent.contents}
        self.count.lost += any(content not in there[name] for name, content in sent.contents.items())
        self.count.doubled += any(len(copies) > 1 for copies in there.values())
        self.count.partial += any(
            copy != content for name, content in sent.contents.items() for copy in there[name]
        )
        if wrong := [f"{len(copies)} of {name}" for name, copies in there.items() if len(copies) != 1]:
            self.count.told.append(f"{', '.join(wrong)} in the end: {sent.end}")
        if self._state(sent) is not DeliveryState.CONFIRMED:
            self.count.wrong += 1
            self.count.told.append(f"not confirmed: {sent.end}")

    def _state(self, sent: Sent) -> DeliveryState | None:
        found = self._context.state.deliveries.list(run_key=sent.run_key)
        return found[0].state if found else None

    # What is delivered

    def _content(self, size: int) -> tuple[Path, Any]:
        """A CSV file of about so many bytes, and what its manifest says."""
        row = 120
        rows = max(1, size // row)
        notes = [os.urandom(45).hex() for _ in range(rows)]
        ids = [f"t{number:08}" for number in range(rows)]
        batch = pa.record_batch(
            [pa.array(ids), pa.array(notes), pa.array([1250] * rows, pa.int64())],
            names=["id", "note", "points"],
        )
        path = self._home / f"content-{self.place.kind}-{size}.csv"
        file = FileOptions(compression="none")
        return path, file_entry(artefact.write(path, COLUMNS, [batch], file), COLUMNS, file)

    def _new(self, size: int) -> Sent:
        """Pin a run whose files are made."""
        self._number += 1
        path, entry = self._made[size]
        name = f"{self.place.kind}-{self._number:06}.csv"
        now = datetime.now(UTC)
        document = {
            "id": f"kills-{self.place.kind}",
            "name": "Kills",
            "model": "balance",
            "timezone": "UTC",
            "schedule": {"kind": "daily", "time": "06:00"},
            "targets": [{"kind": self.place.kind, "options": self.place.options}],
        }
        definition = from_document(document, where="kills")
        run = self._context.state.runs.pin(
            RunRecord(
                definition_id=definition.id,
                definition_version="v1",
                definition=definition.model_dump(mode="json"),
                as_of=now - timedelta(days=1) + timedelta(seconds=self._number),
                known_at=now,
            )
        )
        origin = Origin(
            export_id=definition.id,
            definition_version="v1",
            run_key=run.run_key,
            snapshot_id="s",
            code_version="c",
        )
        manifest = manifest_of([entry.model_copy(update={"name": name})], origin, sequence=1, previous=None)
        artefacts = entries(run, manifest)
        self._store(artefacts, path, manifest)
        self._context.state.runs.pin_artefacts(run.run_key, artefacts)
        contents = {name: self.place.shown(path.read_bytes())}
        if self.place.manifests:
            contents[f"{name}.manifest.json"] = manifest.canonical()
        return Sent(run.run_key, contents, size)

    def _store(self, artefacts: list[dict[str, Any]], path: Path, manifest: Manifest) -> None:
        for each in artefacts:
            there = self._home / "store" / each["key"]
            there.parent.mkdir(parents=True, exist_ok=True)
            if "rows" in each:
                os.link(path, there)
            else:
                there.write_bytes(manifest.canonical())

    def close(self) -> None:
        shutil.rmtree(self._home / "store" / "artefacts", ignore_errors=True)
