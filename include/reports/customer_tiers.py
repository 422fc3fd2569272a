"""Customer tiers: who has which tier as of T, from when, and until when it is due.

docs/ledger.md section 1: the last change before T; a change that took the tier away leaves no row.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from include.ledger.columns import Column
from include.reports import glossary, programs
from include.reports.engine.queried import Queried, stream
from include.reports.model import Asked, LocalSnapshot, Needs, Period, Report, arrow_schema

KIND = "customer_tiers"
TITLE = "Tiers of customers"
PERIOD: Period = "none"

_COLUMNS = glossary.columns(
    KIND,
    (
        "program_id",
        "program_external_id",
        "subledger_id",
        "customer_id",
        "tier_id",
        "tier",
        "starts_at",
        "expires_at",
    ),
)
_NEEDS: Needs = {
    "tier_changes": ("program_id", "subledger_id", "customer_id", "changed_at", "tier_id", "expires_at"),
    "tiers": ("program_id", "tier_id", "name"),
    "programs": ("program_id", "external_id"),
}
_QUERY = """
SELECT held.program_id, program.external_id AS program_external_id, held.subledger_id, held.customer_id,
       held.last.tier_id AS tier_id, coalesce(tier.name, held.last.tier_id) AS tier,
       held.changed_at AS starts_at, held.last.expires_at AS expires_at
FROM (
    SELECT program_id, coalesce(subledger_id, '') AS subledger_id, customer_id, max(changed_at) AS changed_at,
           arg_max(struct_pack(tier_id := tier_id, expires_at := expires_at), changed_at) AS last
    FROM tier_changes WHERE changed_at < make_timestamptz($as_of::BIGINT) GROUP BY ALL
) held
LEFT JOIN tiers tier ON tier.program_id = held.program_id AND tier.tier_id = held.last.tier_id
LEFT JOIN programs program ON program.program_id = held.program_id
WHERE held.last.tier_id IS NOT NULL AND ($programs IS NULL OR list_contains($programs, held.program_id))
ORDER BY held.program_id, held.subledger_id, held.customer_id
"""

Options = programs.Options


def needs(options: Options) -> Needs:  # noqa: ARG001
    """Return the relations and columns that the model reads where the ledger has them."""
    return _NEEDS | {"programs": (*programs.COLUMNS, "external_id")}


def columns(options: Options) -> tuple[Column, ...]:  # noqa: ARG001
    """Return the output columns in order."""
    return _COLUMNS


def report(asked: Asked, snapshot: LocalSnapshot, scratch: Path) -> Report:
    """Return the tiers at `as_of`; raise BadInput for an unknown program, or without `tier_changes`."""
    assert isinstance(asked.options, Options)
    snapshot.require(KIND, {"tier_changes": ()})
    programs.check(snapshot, KIND, asked.options.programs)
    return _Tiers(asked, asked.options, snapshot, scratch)


class _Tiers(Queried):
    def __init__(self, asked: Asked, options: Options, snapshot: LocalSnapshot, scratch: Path) -> None:
        super().__init__(asked, scratch, _COLUMNS)
        self._programs = list(options.programs) or None
        self._streams = {name: stream(snapshot, name, needed) for name, needed in _NEEDS.items()}

    def finish(self) -> Iterator[pa.RecordBatch]:
        return self.query(_QUERY, self._streams, arrow_schema(_COLUMNS), programs=self._programs)
