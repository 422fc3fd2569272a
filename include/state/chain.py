"""The chain of manifests of each definition: numbered from 1, each naming the hash of the one before.

The number and the previous hash stand inside the manifest, so it is written between `next` and `append`, and
`append` refuses when another run was faster: ask `next` again and write the manifest anew.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import select

from include.state.database import Database
from include.state.leases import StaleFence, upsert
from include.state.tables import CHAIN, Now


class Link(NamedTuple):
    """One manifest of the chain; `previous_sha256` is None for the first."""

    sequence: int
    previous_sha256: str | None
    manifest_sha256: str
    run_key: str


class Chain:
    """The manifest chains of one state database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def next(self, definition_id: str) -> tuple[int, str | None]:
        """Return the next sequence number and the hash of the newest manifest."""
        newest = select(CHAIN).where(CHAIN.c.definition_id == definition_id).order_by(CHAIN.c.sequence.desc())
        with self._database.read() as connection:
            row = connection.execute(newest.limit(1)).first()
        return (1, None) if row is None else (row.sequence + 1, row.manifest_sha256)

    def append(
        self,
        definition_id: str,
        sequence: int,
        manifest_sha256: str,
        *,
        previous_sha256: str | None,
        run_key: str,
    ) -> Link:
        """Add the manifest of a run; return the run's link, which is an earlier one when it had one already.

        Raises StaleFence when the number is not the next one, or the hash not that of the newest, any more.
        """
        values = {"definition_id": definition_id, "sequence": sequence, "run_key": run_key}
        hashes = {"manifest_sha256": manifest_sha256, "previous_sha256": previous_sha256}
        insert: Any = upsert(self._database, CHAIN).values(**values, **hashes, created_at=Now())
        newest = select(CHAIN).where(CHAIN.c.definition_id == definition_id).order_by(CHAIN.c.sequence.desc())
        with self._database.write() as connection:
            before = connection.execute(newest.limit(1)).first()
            head = (0, None) if before is None else (before.sequence, before.manifest_sha256)
            if head == (sequence - 1, previous_sha256):
                connection.execute(insert.on_conflict_do_nothing())
            row = connection.execute(select(CHAIN).where(CHAIN.c.run_key == run_key)).first()
        if row is None:
            raise StaleFence(
                f"manifest {sequence} of {definition_id} does not follow the newest one any more"
            )
        return Link(row.sequence, row.previous_sha256, row.manifest_sha256, row.run_key)

    def of(self, run_key: str) -> Link | None:
        """Return the link that a run has already, or None."""
        with self._database.read() as connection:
            row = connection.execute(select(CHAIN).where(CHAIN.c.run_key == run_key)).first()
        return (
            None if row is None else Link(row.sequence, row.previous_sha256, row.manifest_sha256, row.run_key)
        )

    def list(self, definition_id: str) -> list[Link]:
        """Return the whole chain of a definition in order."""
        wanted = select(CHAIN).where(CHAIN.c.definition_id == definition_id).order_by(CHAIN.c.sequence)
        with self._database.read() as connection:
            found = connection.execute(wanted)
            return [
                Link(row.sequence, row.previous_sha256, row.manifest_sha256, row.run_key) for row in found
            ]
