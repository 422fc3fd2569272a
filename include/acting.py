"""In whose name the program works, where that is not who asked for a run: a person at the command line, for example."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

SCHEDULE = "schedule"
_acting: ContextVar[str | None] = ContextVar("loyalty_actor", default=None)


@contextmanager
def acting(name: str | None) -> Iterator[None]:
    """Say who acts while the block runs; None says nothing."""
    token = _acting.set(name)
    try:
        yield
    finally:
        _acting.reset(token)


def acting_name() -> str | None:
    """Return who was named by `acting`, None where nobody was; a child process is told it."""
    return _acting.get()


def actor(asked_by: str | None = None) -> str:
    """Return who acts now: who said so by `acting`, else who asked, else the schedule."""
    return _acting.get() or asked_by or SCHEDULE
