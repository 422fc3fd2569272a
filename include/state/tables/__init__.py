"""The tables of the state database. SQLite and PostgreSQL hold the same values; migrations make them (see `upgrade`).

One file for each matter; all are imported here, so that `METADATA` is whole.
"""

from include.state.tables.asked_exports import ASKED_EXPORTS
from include.state.tables.common import (
    DOCUMENT,
    EPOCH,
    KEY,
    METADATA,
    MICROSECOND,
    NAME,
    PREFIX,
    Instant,
    Now,
    instant,
    microseconds,
)
from include.state.tables.exports import EXPORT_EDITS, EXPORT_FILE_NAMES, EXPORTS, LAST_DELIVERIES
from include.state.tables.imports import IMPORTS
from include.state.tables.people import API_KEYS, AUDIT, ERASURES, GRANTS, LINKS, LOOKED, NOTICES, WATCHES
from include.state.tables.runs import (
    CHAIN,
    DEFINITIONS,
    DELIVERIES,
    LEASES,
    RUNS,
    SNAPSHOT_REFERENCES,
    SNAPSHOTS,
)

__all__ = [
    "API_KEYS",
    "ASKED_EXPORTS",
    "AUDIT",
    "CHAIN",
    "DEFINITIONS",
    "DELIVERIES",
    "DOCUMENT",
    "EPOCH",
    "ERASURES",
    "EXPORTS",
    "EXPORT_EDITS",
    "EXPORT_FILE_NAMES",
    "GRANTS",
    "IMPORTS",
    "KEY",
    "LAST_DELIVERIES",
    "LEASES",
    "LINKS",
    "LOOKED",
    "METADATA",
    "MICROSECOND",
    "NAME",
    "NOTICES",
    "PREFIX",
    "RUNS",
    "SNAPSHOTS",
    "SNAPSHOT_REFERENCES",
    "WATCHES",
    "Instant",
    "Now",
    "instant",
    "microseconds",
]
