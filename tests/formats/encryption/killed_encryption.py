"""A process that writes an encrypted artefact without end: `python -m ... FOLDER KIND`; its options come on stdin."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from include.connections import Connection, Secrets
from include.formats import artefact
from include.formats.encryption import EncryptionOptions
from include.formats.options import FileOptions
from include.ledger.columns import Column
from include.ledger.fields import FieldType

COLUMNS = [Column("customer_id", FieldType.ID)]
IN_CLEAR = "the-customer-in-clear"
BATCH_ROWS = 20_000


def endless() -> Iterator[pa.RecordBatch]:
    batch = pa.record_batch([pa.array([IN_CLEAR] * BATCH_ROWS)], names=["customer_id"])
    while True:
        yield batch


if __name__ == "__main__":
    folder, kind = Path(sys.argv[1]), sys.argv[2]
    asked = json.load(sys.stdin)
    secrets = Secrets(Path(asked["keys"]), {"zip": Connection("zip", password=asked["password"])})
    file = FileOptions(compression="none", encryption=EncryptionOptions(kind=kind, options=asked["options"]))
    artefact.write(folder / "x.csv", COLUMNS, endless(), file, secrets)
