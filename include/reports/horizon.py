"""The future that a projection looks at: its days, and what becomes of points in each of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from include.definitions.zones import day_exists, local, start_of, zone
from include.reports.engine.files import Spool
from include.reports.engine.replay import BookedPartition, Ints
from include.reports.engine.splitting import Scatter

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

# What happens to the points of an account in a day: points that expire, that become usable, and that stop
# waiting (they became usable, or expired before they ever were). Hundredths.
_CHANGES_AT_ONCE = 500_000
CHANGES = ("points_expiring", "points_activating", "points_leaving_pending")


@dataclass(frozen=True)
class Horizon:
    """Days in order; day i covers instants in (ends[i - 1], ends[i]], the first from the as-of on."""

    days: tuple[date, ...]
    ends: Ints  # us

    @property
    def last(self) -> int:
        """The last instant."""
        return int(self.ends[-1])


def days_after(as_of: int, count: int, timezone: str) -> Horizon:
    """Return the local day that `as_of` falls in, and the next, `count` in all."""
    where = zone(timezone)
    day = local(_EPOCH + as_of * _MICROSECOND, where).date()
    days: list[date] = []
    while len(days) < count:
        if day_exists(day, where):
            days.append(day)
        day += timedelta(days=1)
    ends = [microseconds(start_of(one + timedelta(days=1), where)) for one in days]
    return Horizon(tuple(days), np.array(ends, np.int64))


def one_instant(until: datetime, timezone: str) -> Horizon:
    """Return a single stretch that ends at `until`."""
    return Horizon((local(until, zone(timezone)).date(),), np.array([microseconds(until)], np.int64))


def microseconds(instant: datetime) -> int:
    """Return an aware instant as microseconds since the epoch."""
    return (instant - _EPOCH) // _MICROSECOND


@dataclass(frozen=True)
class Changes:
    """Changes by account and day, sorted so: each is int64[n], `account` an index of the partition."""

    account: Ints
    day: Ints
    points: Ints  # n x len(CHANGES)


def changes(now: BookedPartition, then: BookedPartition, horizon: Horizon) -> Changes:
    """Return what happens between two bookings of the same rows, at the as-of and at the horizon's end.

    Debt that a lot repays when it becomes usable is part of `points_activating`.
    """
    rows, later = now.rows, then.booked
    expiring = np.flatnonzero(later.expiry_at > now.booked.at)
    waiting = np.flatnonzero(
        (now.booked.left > 0)
        & (rows.points > 0)
        & (rows.activates_at > now.booked.at)
        & (rows.activates_at <= horizon.last)
    )
    left = now.booked.left[waiting]
    usable = rows.expires_at[waiting] > rows.activates_at[waiting]
    lot = np.concatenate((later.expiry_lot[expiring], waiting))
    at = np.concatenate((later.expiry_at[expiring], rows.activates_at[waiting]))
    points = np.zeros((lot.size, len(CHANGES)), np.int64)
    points[: expiring.size, 0] = later.expiry_points[expiring]
    points[expiring.size :, 1] = np.where(usable, left, 0)
    points[expiring.size :, 2] = left
    account = np.searchsorted(rows.account_start, lot, side="right") - 1
    return _by_day(account, np.searchsorted(horizon.ends, at), points, len(horizon.days))


def _by_day(account: Ints, day: Ints, points: Ints, days: int) -> Changes:
    """Return the sums of each account and day: an account has no more of them than there are days."""
    key = account * days + day
    order = np.argsort(key, kind="stable")
    key = key[order]
    first = np.flatnonzero(np.concatenate((np.ones(min(key.size, 1), np.bool_), key[1:] != key[:-1])))
    sums = np.add.reduceat(points[order], first, axis=0) if first.size else points
    return Changes(key[first] // days, key[first] % days, sums)


def change_batch(place: Ints, day: Ints, points: Ints) -> pa.RecordBatch:
    """Return changes as a batch, as `Cursor` reads them: place, day, *CHANGES."""
    return pa.RecordBatch.from_arrays(
        [pa.array(place), pa.array(day), *(pa.array(column) for column in points.T)],
        ["place", "day", *CHANGES],
    )


def regroup(
    source: Spool, target: Spool, places: list[Ints], members: list[NDArray[np.int32]], folder: Path
) -> None:
    """Write the changes of accounts, at `places`, as changes of what they are `members` of, sorted by that.

    Memory: 12 bytes an account, and 28 for a moment; both lists are emptied. Changes are sorted in ranges of the new
    places.
    """
    if not places:
        return
    old = np.concatenate(places)
    places.clear()
    new = np.concatenate(members)
    members.clear()
    order = np.argsort(old)
    old, new = old[order], new[order]
    del order
    block = max(1, int(new.size) // max(1, -(-source.rows // _CHANGES_AT_ONCE)))
    scatter = Scatter(folder, "changes", int(new.max()) // block + 1)
    for batch in source.batches():
        place = new[np.searchsorted(old, batch.column("place").to_numpy())]
        scatter.add(batch.set_column(0, "place", pa.array(place)), (place // block).astype(np.uint16))
    scatter.close()
    for piece in scatter.pieces():
        if piece.rows:
            table = piece.table()
            order = np.argsort(table.column("place").to_numpy(), kind="stable")
            for batch in table.take(pa.array(order)).to_batches():
                target.write(batch)
            piece.remove()


class Cursor:
    """Reads a stream of changes, sorted by `place`, in step with the places that they belong to."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self._held = np.empty((0, 2 + len(CHANGES)), np.int64)

    def until(self, place: int) -> Ints:
        """Return the changes of places before `place`: rows of (place, day, *CHANGES)."""
        parts = [self._held]
        while not parts[-1].size or parts[-1][-1, 0] < place:
            batch = next(self._batches, None)
            if batch is None:
                break
            if len(batch):
                columns = [batch.column(name).to_numpy() for name in ("place", "day", *CHANGES)]
                parts.append(np.column_stack(columns))
        held = np.concatenate(parts)
        cut = int(np.searchsorted(held[:, 0], place))
        self._held = held[cut:]
        return held[:cut]
