"""What the product remembers: definitions, exports, runs, deliveries, leases, snapshots, chains, links, rights.

`open(url)` gives a `State`. Nothing else knows the tables.
"""

from __future__ import annotations

from dataclasses import dataclass

from include.state.asked_exports import AskedExports
from include.state.audit import Audit
from include.state.chain import Chain
from include.state.database import Database
from include.state.definitions import Definitions
from include.state.deliveries import Deliveries
from include.state.erasures import Erasures
from include.state.exports import Exports
from include.state.grants import Grants
from include.state.history import History
from include.state.imports import Imports
from include.state.keys import ApiKeys
from include.state.leases import Leases, StaleFence
from include.state.links import DownloadLinks
from include.state.looked import Looked
from include.state.notices import Notices
from include.state.runs import RunRecord, Runs, RunStatus
from include.state.snapshots import Snapshots

__all__ = ["RunRecord", "RunStatus", "StaleFence", "State", "open"]


@dataclass(frozen=True)
class State:
    """The parts of one state database."""

    database: Database
    definitions: Definitions
    runs: Runs
    exports: Exports
    history: History
    deliveries: Deliveries
    leases: Leases
    snapshots: Snapshots
    chain: Chain
    audit: Audit
    links: DownloadLinks
    notices: Notices
    erasures: Erasures
    looked: Looked
    grants: Grants
    keys: ApiKeys
    asked_exports: AskedExports
    imports: Imports


def open(url: str) -> State:  # noqa: A001 - read as state.open
    """Open the state at `url`, bringing its tables up to date; raise BadInput or Transient."""
    database = Database(url)
    database.upgrade()
    return State(
        database,
        Definitions(database),
        Runs(database),
        Exports(database),
        History(database),
        Deliveries(database),
        Leases(database),
        Snapshots(database),
        Chain(database),
        Audit(database),
        DownloadLinks(database),
        Notices(database),
        Erasures(database),
        Looked(database),
        Grants(database),
        ApiKeys(database),
        AskedExports(database),
        Imports(database),
    )
