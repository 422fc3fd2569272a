"""Transfers keep their cohort: what was traced inside partitions is attributed here, when all are known.

The two halves of a transfer are found by related_transaction_id: the one that the receiving half names, else
the earliest that names it. They must be of the same program, and the sending half not later than the other.
Received points are of the cohorts that the sending half used, first used first; several receiving halves of
one sending half share it in order of time, then of id. What the sending half did not have (a debt), and a
half without its other, is of the cohort that it is created in. Ids are compared by their 64-bit hash.

Traces wait in files; attributing them takes about 150 bytes of memory a transfer, whatever else the ledger
holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfileobj
from tempfile import NamedTemporaryFile, TemporaryFile
from typing import BinaryIO, NamedTuple

import numpy as np
from numba import njit

from include.ledger.rows import Ints

MOST_TRANSFERS = 1_000  # of one point; a longer chain is a cycle in the ledger's relations
NO_ID = 0  # in place of the hash of an id that is null
NO_TRANSFER = -1
_CHUNK_EVENTS = 65_536
_CHUNK_ROWS = 16_384  # some 1 MiB


@dataclass(frozen=True)
class Halves:
    """Transfer rows of one partition and one direction; `row` ascending, ids as hashes, points positive."""

    row: Ints
    id: Ints
    related: Ints
    program: Ints
    created_at: Ints
    points: Ints
    cohort: Ints


@dataclass(frozen=True)
class Attributed:
    """Points of traced events by the cohort that they turned out to be of; `event` holds rows as added, their
    first column apart.
    """

    event: Ints
    cohort: Ints
    points: Ints


@dataclass(frozen=True)
class Travelling:
    """Rows of int64 on their way to another process: in memory where they are few, else in a file."""

    width: int
    few: Ints | None
    path: Path | None = None

    def chunks(self) -> Iterator[Ints]:
        """Yield them, in arrays of one's own; the file is gone then."""
        if self.few is not None:
            yield self.few.copy()
        elif self.path is not None:
            with self.path.open("rb") as file:
                self.path.unlink()
                for rows in _chunks(file, self.width, _CHUNK_ROWS):
                    yield rows.copy()


class Given(NamedTuple):
    """Traces of some partitions, numbered among themselves."""

    received: Travelling
    sending: Travelling
    sent: Travelling
    events: Travelling | None  # None: no partition was added


def _chunks(file: BinaryIO, width: int, most: int) -> Iterator[Ints]:
    while content := file.read(most * width * 8):
        yield np.frombuffer(content, np.int64).reshape(-1, width)


class _Spill:
    """Rows of int64 that wait in an unnamed file until the end."""

    def __init__(self, folder: Path | None, width: int) -> None:
        self._file = TemporaryFile(dir=folder)  # noqa: SIM115 (it lives as long as this)
        self._folder = folder
        self._width = width
        self.count = 0

    def add(self, rows: Ints) -> None:
        self._file.write(np.ascontiguousarray(rows, np.int64).tobytes())
        self.count += len(rows)

    def chunks(self, most: int) -> Iterator[Ints]:
        self._file.seek(0)
        yield from _chunks(self._file, self._width, most)

    def all(self) -> Ints:
        if not self.count:
            return np.empty((0, self._width), np.int64)
        return next(self.chunks(self.count))

    def travelling(self) -> Travelling:
        if self.count <= _CHUNK_ROWS:
            return Travelling(self._width, self.all())
        self._file.seek(0)
        with NamedTemporaryFile(prefix="transfers-", dir=self._folder, delete=False) as file:
            copyfileobj(self._file, file, 1 << 20)
        return Travelling(self._width, None, Path(file.name))


class Transfers:
    """Collects the traces of partitions, and attributes them at the end. Traces wait in files in `folder`."""

    def __init__(self, folder: Path | None = None) -> None:
        self._in, self._out, self._sent = (_Spill(folder, width) for width in (6, 6, 5))
        self._events: _Spill | None = None
        self._folder = folder

    def add(self, received: Halves, sending: Halves, events: Ints, sent: Ints) -> None:
        """Add a partition.

        events: transfer row, offset, points, then what the caller wants back. sent: transferred_out row,
        cohort, transfer row (-1: the cohort says all), offset, points.
        """
        events, sent = events.copy(), sent.copy()
        events[:, 0] = self._in.count + np.searchsorted(received.row, events[:, 0])
        sent[:, 0] = self._out.count + np.searchsorted(sending.row, sent[:, 0])
        traced = sent[:, 2] >= 0
        sent[traced, 2] = self._in.count + np.searchsorted(received.row, sent[traced, 2])
        if self._events is None:
            self._events = _Spill(self._folder, events.shape[1])
        self._events.add(events)
        self._sent.add(sent)
        for halves, spill in ((received, self._in), (sending, self._out)):
            spill.add(
                np.column_stack(
                    (
                        halves.id,
                        halves.related,
                        halves.program,
                        halves.created_at,
                        halves.points,
                        halves.cohort,
                    )
                )
            )

    def given(self) -> Given:
        """Return what was added, as `take` has it; nothing is kept here any more."""
        events = self._events.travelling() if self._events is not None else None
        found = Given(self._in.travelling(), self._out.travelling(), self._sent.travelling(), events)
        self._in, self._out, self._sent = (_Spill(self._folder, width) for width in (6, 6, 5))
        self._events = None
        return found

    def take(self, given: Given, back: Callable[[Ints], None] = lambda _: None) -> None:
        """Add what another one was given, after what is here; `back` may change its events, some at a time."""
        if given.events is None:
            return
        if self._events is None:
            self._events = _Spill(self._folder, given.events.width)
        received, sending = self._in.count, self._out.count
        for events in given.events.chunks():
            events[:, 0] += received
            back(events)
            self._events.add(events)
        for sent in given.sent.chunks():
            sent[:, 0] += sending
            sent[sent[:, 2] >= 0, 2] += received
            self._sent.add(sent)
        for halves, spill in ((given.received, self._in), (given.sending, self._out)):
            for rows in halves.chunks():
                spill.add(rows)

    def attribute(self) -> Iterator[Attributed]:
        """Attribute every event, a stretch of events at a time."""
        if self._events is None or not self._events.count:
            return
        received, sending = self._in.all(), self._out.all()
        owner, sent_from = _match(received, sending)
        own, senders = received[:, 5].copy(), len(sending)
        del received, sending  # before what was sent is read
        sent_first, sent = _by_sender(self._sent.all(), senders)
        graph = _Graph(owner, sent_from, own, sent_first, sent)
        for events in self._events.chunks(_CHUNK_EVENTS):
            asked = events[:, :3].copy()
            room = 2 * len(events) + 1024
            while True:
                out = np.empty((room, 3), np.int64)
                filled = _resolve(graph, asked, out)
                if filled >= 0:
                    break
                room *= 2
            yield Attributed(events[out[:filled, 0]], out[:filled, 1], out[:filled, 2])


def _by_sender(sent: Ints, senders: int) -> tuple[Ints, Ints]:
    """Return where the pieces of each sending half begin, and the pieces in that order."""
    if np.any(sent[1:, 0] < sent[:-1, 0]):
        sent = sent[np.argsort(sent[:, 0], kind="stable")]
    sent.flags.writeable = False  # as it is when it comes straight from the file: one compiled version
    first = np.zeros(senders + 1, np.int64)
    np.cumsum(np.bincount(sent[:, 0], minlength=senders), out=first[1:])
    return first, sent


def _match(received: Ints, sending: Ints) -> tuple[Ints, Ints]:
    """(other half, where in its points it begins) of every received half; -1 where there is none."""
    owner = _sound(received, sending, _look_up(received[:, 1], sending, 0))
    without = np.flatnonzero(owner == NO_TRANSFER)
    if without.size:
        alone = received[without]
        owner[without] = _sound(alone, sending, _look_up(alone[:, 0], sending, 1))
    known = np.flatnonzero(owner != NO_TRANSFER)
    known = known[np.bincount(owner[known], minlength=len(sending))[owner[known]] > 1]  # else it begins at 0
    order = known[np.lexsort((received[known, 0], received[known, 3], owner[known]))]
    before = np.cumsum(received[order, 4]) - received[order, 4]
    is_first = np.ones(order.size, bool)
    is_first[1:] = owner[order[1:]] != owner[order[:-1]]
    starts = np.maximum.accumulate(np.where(is_first, before, 0)) if order.size else before
    sent_from = np.zeros(len(received), np.int64)
    sent_from[order] = before - starts
    return owner, sent_from


def _sound(received: Ints, sending: Ints, owner: Ints) -> Ints:
    """Return `owner` without halves of another program, and without those later than what they sent."""
    known = np.flatnonzero(owner != NO_TRANSFER)
    other = owner[known]
    wrong = sending[other, 2] != received[known, 2]
    wrong |= sending[other, 3] > received[known, 3]
    kept = owner.copy()
    kept[known[wrong]] = NO_TRANSFER
    return kept


def _look_up(wanted: Ints, sending: Ints, column: int) -> Ints:
    """Return the sending half whose `column` is the wanted id, the earliest of several; else -1."""
    half = np.flatnonzero(sending[:, column] != NO_ID)
    if not half.size:
        return np.full(wanted.size, NO_TRANSFER, np.int64)
    half = half[np.argsort(sending[half, column], kind="stable")]
    ids = sending[half, column]
    if np.any(ids[1:] == ids[:-1]):
        half = half[np.lexsort((sending[half, 0], sending[half, 3], ids))]
    at = np.minimum(np.searchsorted(ids, wanted), ids.size - 1)
    return np.where(ids[at] == wanted, half[at], NO_TRANSFER)


class _Graph(NamedTuple):
    """Who sent what to whom."""

    owner: Ints  # per transfer: its other half, -1 unknown
    sent_from: Ints  # per transfer: where in the points of the other half it begins
    own: Ints  # per transfer: the cohort that it is created in
    sent_first: Ints  # per other half, and one more: its pieces in `sent`
    sent: Ints  # other half, cohort, transfer (-1: the cohort says all), offset, points


@njit(nogil=True, cache=True)
def _resolve(graph: _Graph, events: Ints, out: Ints) -> int:
    """Attributes traces to cohorts, through any number of transfers.

    events: transfer, offset, points. Points that the other half did not have are of the cohort `own`.
    Fills `out` with (event, cohort, points); returns how many, or -1 when there is no room.
    """
    owner, sent_from, own, sent_first, sent = graph
    filled = 0
    stack = np.empty((1024, 4), np.int64)
    for event in range(events.shape[0]):
        size = 1
        stack[0, 0], stack[0, 1], stack[0, 2], stack[0, 3] = (
            events[event, 0],
            events[event, 1],
            events[event, 2],
            0,
        )
        while size > 0:
            size -= 1
            transfer, offset, points, depth = stack[size]
            half = owner[transfer]
            if half >= 0 and depth < MOST_TRANSFERS:
                begin = sent_from[transfer] + offset
                for i in range(sent_first[half], sent_first[half + 1]):
                    if points == 0:
                        break
                    if begin >= sent[i, 4]:
                        begin -= sent[i, 4]
                        continue
                    taken = min(points, sent[i, 4] - begin)
                    if sent[i, 2] < 0:
                        if filled == out.shape[0]:
                            return -1
                        out[filled, 0], out[filled, 1], out[filled, 2] = event, sent[i, 1], taken
                        filled += 1
                    else:
                        if size == stack.shape[0]:
                            larger = np.empty((2 * size, 4), np.int64)
                            larger[:size] = stack
                            stack = larger
                        stack[size, 0], stack[size, 1] = sent[i, 2], sent[i, 3] + begin
                        stack[size, 2], stack[size, 3] = taken, depth + 1
                        size += 1
                    points -= taken
                    begin = 0
            if points > 0:
                if filled == out.shape[0]:
                    return -1
                out[filled, 0], out[filled, 1], out[filled, 2] = event, own[transfer], points
                filled += 1
    return filled
