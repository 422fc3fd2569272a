"""Partitions, booked at every cut that is asked for, and handed to the reports that ask."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import pyarrow as pa

from include.reports.engine.notes import Notes
from include.reports.engine.partitions import Partition
from include.reports.engine.replay import BookedPartition, book_at, load
from include.reports.engine.room import Room, give_back
from include.reports.model import Cut, Report

Booked = Mapping[Cut, BookedPartition]


def booked(
    partitions: Iterable[Partition],
    dictionaries: Mapping[str, pa.Array],
    cuts: Sequence[Cut],
    room: Room,
    notes: Notes,
) -> Iterator[tuple[Partition, Booked]]:
    """Yield each partition as booked at the cuts that have rows of it; `notes` tells what was seen.

    Raises LedgerViolation that names accounts.
    """
    for part in partitions:
        loaded = load(part, dictionaries, room)
        found = {}
        for cut in cuts:
            one = book_at(loaded, cut, first_account=part.rows_before)
            if len(part.pieces) > 1:
                give_back()
            if one is not None:
                found[cut] = one
        notes.add(found.values())
        yield part, found


def reported(
    reports: Sequence[Report], part: Partition, found: Booked
) -> Iterator[tuple[int, Iterable[pa.RecordBatch]]]:
    """Yield what each report, by its place, gives at each of its cuts; then remove the partition's files."""
    for place, report in enumerate(reports):
        for index, cut in enumerate(report.cuts):
            if cut in found:
                yield place, report.on_partition(index, found[cut])
                if len(part.pieces) > 1:
                    give_back()
    for piece in part.pieces:
        piece.path.unlink()
