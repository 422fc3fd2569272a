"""Transfers keep their cohort: what was traced inside partitions is attributed here, when all are known.

The two halves of a transfer are found by related_transaction_id: the one that the receiving half names, else
the earliest that names it. They must be of the same program, and the sending half not later than the other.
Received points are of the cohorts that the sending half used, first used first; several receiving halves of
one sending half share it in order of time, then of id. What the sending half did not have (a debt), and a
half without its other, is of the cohort that it is created in. Ids are compared by their 64-bit hash.

Memory is about 250 bytes a transfer, whatever else the ledger holds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numba import njit

from include.ledger.rows import Ints

MOST_TRANSFERS = 1_000  # of one point; a longer chain is a cycle in the ledger's relations
NO_ID = 0  # in place of the hash of an id that is null
NO_TRANSFER = -1


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
    """Points of traced events by the cohort that they turned out to be of; `event` as it was added."""

    event: Ints
    cohort: Ints
    points: Ints


@dataclass
class Transfers:
    """Collects the traces of partitions, and attributes them at the end."""

    _in: list[Ints] = field(default_factory=list)
    _out: list[Ints] = field(default_factory=list)
    _events: list[Ints] = field(default_factory=list)
    _sent: list[Ints] = field(default_factory=list)
    _in_count: int = 0
    _out_count: int = 0

    def add(self, received: Halves, sending: Halves, events: Ints, sent: Ints) -> None:
        """Add a partition.

        events: transfer row, offset, points, then what the caller wants back. sent: transferred_out row,
        cohort, transfer row (-1: the cohort says all), offset, points.
        """
        events, sent = events.copy(), sent.copy()
        events[:, 0] = self._in_count + np.searchsorted(received.row, events[:, 0])
        sent[:, 0] = self._out_count + np.searchsorted(sending.row, sent[:, 0])
        traced = sent[:, 2] >= 0
        sent[traced, 2] = self._in_count + np.searchsorted(received.row, sent[traced, 2])
        for halves, into in ((received, self._in), (sending, self._out)):
            into.append(
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
        self._events.append(events)
        self._sent.append(sent)
        self._in_count += received.row.size
        self._out_count += sending.row.size

    @property
    def events(self) -> Ints:
        """All events in the order in which they were added; the first column counts received halves."""
        return np.concatenate(self._events) if self._events else np.empty((0, 3), np.int64)

    def attribute(self) -> Attributed:
        """Attribute every event."""
        events = self.events
        if not len(events):
            none = np.empty(0, np.int64)
            return Attributed(none, none, none)
        received, sending = np.concatenate(self._in), np.concatenate(self._out)
        owner, sent_from = _match(received, sending)
        sent = np.concatenate(self._sent)
        sent = sent[np.argsort(sent[:, 0], kind="stable")]
        first = np.searchsorted(sent[:, 0], np.arange(len(sending) + 1))
        pieces = np.ascontiguousarray(sent[:, 1:])
        asked = np.ascontiguousarray(events[:, :3])
        own = np.ascontiguousarray(received[:, 5])
        graph = _Graph(owner, sent_from, own, first, pieces)
        room = 2 * len(events) + 1024
        while True:
            out = np.empty((room, 3), np.int64)
            filled = _resolve(graph, asked, out)
            if filled >= 0:
                return Attributed(*(out[:filled, i].copy() for i in range(3)))
            room *= 2


def _match(received: Ints, sending: Ints) -> tuple[Ints, Ints]:
    """(other half, where in its points it begins) of every received half; -1 where there is none."""
    owner = _sound(received, sending, _look_up(received[:, 1], sending, 0))
    naming = _sound(received, sending, _look_up(received[:, 0], sending, 1))
    owner = np.where(owner == NO_TRANSFER, naming, owner)
    known = np.flatnonzero(owner != NO_TRANSFER)
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
    other, mine = sending[owner[known]], received[known]
    wrong = (other[:, 2] != mine[:, 2]) | (other[:, 3] > mine[:, 3])
    kept = owner.copy()
    kept[known[wrong]] = NO_TRANSFER
    return kept


def _look_up(wanted: Ints, sending: Ints, column: int) -> Ints:
    """Return the sending half whose `column` is the wanted id, the earliest of several; else -1."""
    ids = sending[:, column]
    if not ids.size:
        return np.full(wanted.size, NO_TRANSFER, np.int64)
    order = np.lexsort((sending[:, 0], sending[:, 3], ids))
    at = np.minimum(np.searchsorted(ids, wanted, sorter=order), ids.size - 1)
    found = (ids[order[at]] == wanted) & (wanted != NO_ID)
    return np.where(found, order[at], NO_TRANSFER)


class _Graph(NamedTuple):
    """Who sent what to whom."""

    owner: Ints  # per transfer: its other half, -1 unknown
    sent_from: Ints  # per transfer: where in the points of the other half it begins
    own: Ints  # per transfer: the cohort that it is created in
    sent_first: Ints  # per other half, and one more: its pieces in `sent`
    sent: Ints  # cohort, transfer (-1: the cohort says all), offset, points


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
                    if begin >= sent[i, 3]:
                        begin -= sent[i, 3]
                        continue
                    taken = min(points, sent[i, 3] - begin)
                    if sent[i, 1] < 0:
                        if filled == out.shape[0]:
                            return -1
                        out[filled, 0], out[filled, 1], out[filled, 2] = event, sent[i, 0], taken
                        filled += 1
                    else:
                        if size == stack.shape[0]:
                            larger = np.empty((2 * size, 4), np.int64)
                            larger[:size] = stack
                            stack = larger
                        stack[size, 0], stack[size, 1] = sent[i, 1], sent[i, 2] + begin
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
