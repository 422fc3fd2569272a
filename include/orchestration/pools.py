"""The pool of the tasks that take much memory, so that as many of them run at once as the machine has room for.

Reading the ledger, rendering and importing take slots of the pool that `LOYALTY_POOL` names; deliveries and all that
is small stay in Airflow's own, and so never wait behind a large export. Airflow starts no task of a pool that does
not exist: without the variable all stay in the default one.
"""

from __future__ import annotations

import os

from include.errors import Permanent
from include.orchestration.client import Client

NAME = "loyalty"
DEFAULT = "default_pool"
# A stage stays under 512 MiB (docs/benchmarks.md); the task's own process, with Airflow in it, takes the rest.
SLOT_BYTES = 768 << 20
# For the system, the databases and Airflow's services on the same machine.
KEPT_BYTES = 2 << 30


def heavy() -> str:
    """Return the name of the pool of tasks that take much memory."""
    return os.environ.get("LOYALTY_POOL") or DEFAULT


def slots(memory: int | None = None, processors: int | None = None) -> int:
    """Return how many heavy tasks this machine runs at once: one for each processor, as far as memory allows.

    memory: bytes in all. At least one, however small the machine is.
    """
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if memory is None else memory
    processors = (os.cpu_count() or 1) if processors is None else processors
    return max(1, min(processors, (memory - KEPT_BYTES) // SLOT_BYTES))


def ensure(client: Client, name: str, slots: int) -> None:
    """Make the pool if there is none; what somebody set in Airflow stays."""
    if name == DEFAULT:
        return
    try:
        client.get(f"/pools/{name}")
    except Permanent:
        words = "Reading the ledger, rendering and importing: a slot for each, as memory allows"
        client.post("/pools", {"name": name, "slots": slots, "description": words, "include_deferred": False})
