"""Writes an artefact and kills its process.

point: `middle`, or n: before the n-th call of the system on the folder (open, rename, remove, mkdir).
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa

from include.formats import artefact
from include.formats.options import FileOptions
from include.ledger.catalog import FieldType
from include.ledger.columns import Column

PLAIN = FileOptions(compression="none")
BIG_COLUMNS = [Column("id", FieldType.ID), Column("p", FieldType.POINTS)]


def big() -> list[pa.RecordBatch]:
    rng = np.random.default_rng(1)
    ids = [f"t{number}" for number in rng.integers(0, 10**15, 50_000)]
    return [pa.record_batch([pa.array(ids), pa.array(rng.integers(0, 10**9, 50_000))], names=["id", "p"])] * 8


def write(folder: Path, point: str) -> None:
    """Write `x.csv` of the folder, and die at the point."""
    calls = 0

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def count(event, arguments) -> None:
        nonlocal calls
        if event in ("open", "os.rename", "os.remove", "os.mkdir") and str(folder) in str(arguments[:2]):
            if str(calls) == point:
                die()
            calls += 1

    def watched():
        for number, batch in enumerate(big()):
            if number == 6 and point == "middle":
                die()
            yield batch

    sys.addaudithook(count)
    artefact.write(folder / "x.csv", BIG_COLUMNS, watched(), PLAIN)
