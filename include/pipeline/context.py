"""What every step needs: the settings, the state database and the store."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from include import state as states
from include.connections import Resolver, from_environment
from include.definitions.model import ExportDefinition
from include.errors import Transient
from include.settings import Settings
from include.snapshots.store import Store
from include.state import State

if TYPE_CHECKING:
    from include.notices.outbox import Notifier

Progress = Callable[[str, int, int | None], None]
"""Called with a stage, the rows done, and the rows in all where they are known."""


def silent(stage: str, rows_done: int, rows_total: int | None) -> None:
    """Show no progress."""


# How often a running stage is written down; whoever watches needs no more.
RECORDED_SECONDS = 2.0


@dataclass(frozen=True)
class Context:
    """Where a run works. State and store are opened when first used."""

    settings: Settings
    connections: Resolver = from_environment
    """Gives a connection by its name; BadInput when there is none."""
    notifier: Notifier | None = None
    """Calls notifiers of Airflow; None outside Airflow."""

    @classmethod
    def from_settings(
        cls,
        settings: Settings | None = None,
        connections: Resolver = from_environment,
        notifier: Notifier | None = None,
    ) -> Context:
        """Return the context of the given settings and connections, by default those of the environment."""
        return cls(settings or Settings.from_environment(), connections, notifier)

    @cached_property
    def state(self) -> State:
        """Return the state database, its schema up to date."""
        return states.open(self.settings.state_url)

    @cached_property
    def store(self) -> Store:
        """Return the store of snapshots and artefacts."""
        return Store(self.settings.store_url)

    def recorded(self, run_key: str, progress: Progress, *, unless_made: bool = False) -> Progress:
        """Return `progress` that also writes the run's stage and rows into the state, every now and then.

        unless_made: not once the run has its files, for whoever makes them beside others.
        """
        last = -RECORDED_SECONDS

        def report(stage: str, rows_done: int, rows_total: int | None) -> None:
            nonlocal last
            progress(stage, rows_done, rows_total)
            if time.monotonic() - last >= RECORDED_SECONDS:
                last = time.monotonic()
                with contextlib.suppress(
                    Transient
                ):  # a busy state database must not cost a run that goes well
                    self.state.runs.progress(run_key, stage, rows_done, rows_total, unless_made=unless_made)

        return report


def settle_delay(settings: Settings, definition: ExportDefinition) -> timedelta:
    """Return how long after T a run of this definition waits: its own delay, else the installation's."""
    return settings.settle_delay if definition.settle_delay is None else definition.settle_delay
