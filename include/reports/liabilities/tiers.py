"""The tier of every account's owner as of two instants, as small numbers looked up by account hash.

A subledger's tier is the owner's tier in that subledger, else the owner's tier in subledger ''. Memory is
about 12 bytes for each customer or card with a tier, and one lookup table for both instants.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from include.ledger.hashing import account_hashes
from include.ledger.rows import Ints
from include.reports.engine.duckdb import TIERS_AS_OF, Engine
from include.reports.engine.replay import BookedPartition
from include.reports.model import LocalSnapshot, Needs

NEEDS: Needs = {
    "tier_changes": ("program_id", "subledger_id", "customer_id", "changed_at", "tier_id"),
    "tiers": ("program_id", "tier_id", "name"),
    "cards": ("card_id", "customer_id"),
}
NO_TIER = 0

_SQL = f"""
WITH held AS MATERIALIZED ({TIERS_AS_OF})
SELECT program_id, subledger_id, NULL::VARCHAR AS card_id, customer_id, tier FROM held
UNION ALL
SELECT held.program_id, held.subledger_id, cards.card_id, held.customer_id, held.tier
FROM cards JOIN held ON held.customer_id = cards.customer_id
"""
_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("program_id", "subledger_id", "card_id", "customer_id", "tier")]
)


class Tiers:
    """Tiers as of some instants, read when made. `names[code]` is a tier's name; code 0 is no tier."""

    def __init__(self, snapshot: LocalSnapshot, scratch: Path, instants: tuple[int, ...]) -> None:
        self.names: list[str | None] = [None]
        self._codes: dict[str, int] = {}
        self._tables = [self._read(snapshot, scratch, at) for at in instants]

    def of(self, partition: BookedPartition, instant_index: int) -> Ints:
        """Return the code of each account's tier as of one of the instants."""
        hashes, codes = self._tables[instant_index]
        found = _look_up(hashes, codes, partition.account_hash)
        missing = np.flatnonzero(found < 0)
        if missing.size:
            who = partition.accounts.take(pa.array(missing))
            nowhere = pa.array([""] * missing.size, pa.string())
            card = who.column("card_id")
            customer = who.column("customer_id")
            fallback = account_hashes(who.column("program_id"), nowhere, card, customer)
            found[missing] = np.maximum(_look_up(hashes, codes, fallback), NO_TIER)
        return found

    def _read(
        self, snapshot: LocalSnapshot, scratch: Path, at: int
    ) -> tuple[NDArray[np.uint64], NDArray[np.int16]]:
        hashes, codes = [np.empty(0, np.uint64)], [np.empty(0, np.int16)]
        with Engine(scratch) as engine:
            for relation, columns in NEEDS.items():
                engine.add(snapshot, relation, columns)
            for batch in engine.run(_SQL, _SCHEMA, as_of=at):
                program, subledger, card, customer, tier = batch.columns
                hashes.append(account_hashes(program, subledger, card, customer))
                named = tier.dictionary_encode()
                known = np.array([*map(self.code, named.dictionary.to_pylist()), NO_TIER], np.int16)
                codes.append(known[named.indices.fill_null(len(known) - 1).to_numpy()])
        every = np.concatenate(hashes)
        order = np.argsort(every)
        return every[order], np.concatenate(codes)[order]

    def code(self, name: str) -> int:
        """Return a tier's code, a new one for a name that was not seen yet."""
        if name not in self._codes:
            self._codes[name] = len(self.names)
            self.names.append(name)
        return self._codes[name]


def _look_up(hashes: NDArray[np.uint64], codes: NDArray[np.int16], wanted: NDArray[np.uint64]) -> Ints:
    """Return the code of each wanted hash, -1 where there is none."""
    if not hashes.size:
        return np.full(wanted.size, -1, np.int64)
    at = np.minimum(np.searchsorted(hashes, wanted), hashes.size - 1)
    return np.where(hashes[at] == wanted, codes[at], -1).astype(np.int64)
