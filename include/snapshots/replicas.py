"""Read replicas: up to which moment of the primary they answer, and reads that they cancel.

A replica's read point is not its clock: it is the moment on the primary's clock up to which all changes have arrived
and been applied. Whoever wants rows up to a later moment is told NotYet, as with rows that are still being written. A
replica is asked before the database transaction sees its state, so that the state is never older than what is said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from include.errors import Transient

T = TypeVar("T")
ATTEMPTS = 3

MYSQL = "SHOW REPLICA STATUS"
MARIADB = "SHOW ALL SLAVES STATUS"
_SECONDS = ("Seconds_Behind_Source", "Seconds_Behind_Master")
_RUNNING = (("Replica_IO_Running", "Slave_IO_Running"), ("Replica_SQL_Running", "Slave_SQL_Running"))
_MICROSECONDS = 1_000_000


class ReplicaCancelled(Transient):
    """A replica ended a read, since it stood in the way of a change of the primary."""


def mysql_read_point(channels: list[Mapping[str, Any]], now: int) -> int | None:
    """Return up to when a MySQL or MariaDB server answers (us): `now` where it is no replica.

    channels: the rows of `SHOW REPLICA STATUS`. It counts whole seconds, so one is taken off. None: nobody knows, for
    its threads do not run, or it may not be asked (an empty row).
    """
    points = [now]
    for channel in channels:
        running = all(any(channel.get(name) == "Yes" for name in names) for names in _RUNNING)
        behind = next((channel[name] for name in _SECONDS if channel.get(name) is not None), None)
        if not running or behind is None:
            return None
        points.append(now - (int(behind) + 1) * _MICROSECONDS)
    return min(points)


def retried(read: Callable[[], T]) -> T:
    """Return what `read` returns, asked again where a replica cancels it; Transient that says what helps."""
    for _ in range(ATTEMPTS - 1):
        try:
            return read()
        except ReplicaCancelled:
            continue
    try:
        return read()
    except ReplicaCancelled as error:
        raise Transient(
            f"{error}; it was tried {ATTEMPTS} times: let the replica wait for long reads "
            "(max_standby_streaming_delay), or turn on hot_standby_feedback, or read from the primary"
        ) from error
