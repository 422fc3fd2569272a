"""What the tests of webhooks share: parcels with rows, what the pipeline keeps between attempts, deliveries."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from include.connections import Secrets
from include.formats import artefact
from include.formats.hashes import file_sha256
from include.formats.manifest import file_entry, manifest_of, write_manifest
from include.formats.options import FileOptions
from include.ledger.catalog import FieldType
from include.ledger.columns import Column
from include.targets import webhook
from include.targets.protocol import (
    About,
    Answer,
    Parcel,
    ParcelFile,
    Receipt,
    no_progress,
)
from tests.formats.examples import COLUMNS, ROWS, table
from tests.formats.test_manifest import ORIGIN
from tests.servers.receiver import NAME, receiver

KEY = "5f0c" * 16
PACKED = FileOptions()
ABOUT = About(
    export_id="daily_points",
    name="Daily points",
    period="2026-03-31",
    as_of="2026-04-01T04:00:00Z",
    timezone="Europe/Paris",
    rows={"points.csv.gz": 8},
    totals={"points.csv.gz": {"points": "10250.50"}},
    notes=("3 rows more than yesterday",),
)
FEW = [Column("id", FieldType.ID), Column("points", FieldType.POINTS)]


@pytest.fixture
def server():
    with receiver() as running:
        yield running


def parcel_of(
    folder: Path, rows=ROWS, columns=COLUMNS, file=PACKED, *, name="points.csv.gz", key=KEY
) -> Parcel:
    """A file with these rows, and its manifest."""
    written = artefact.write(folder / name, columns, [table(rows, columns)], file)
    manifest = manifest_of([file_entry(written, columns, file)], ORIGIN, sequence=1, previous=None)
    return files_of([folder / name, write_manifest(folder, manifest)], key)


def files_of(paths, key=KEY) -> Parcel:
    files = [
        ParcelFile(path, path.name, file_sha256(path), path.stat().st_size, "text/csv") for path in paths
    ]
    return Parcel(files, key, ABOUT)


class Kept:
    """What the pipeline keeps between attempts: the last receipt that was recorded, and how many were."""

    def __init__(self, parcel: Parcel) -> None:
        self.parcel, self.receipt, self.count = parcel, None, 0

    def record(self, receipt: Receipt) -> None:
        self.receipt = Receipt.model_validate_json(receipt.model_dump_json())
        self.count += 1

    def next(self) -> Parcel:
        doubt = self.receipt is not None
        return replace(self.parcel, accepted=self.receipt, record=self.record, in_doubt=doubt)

    @property
    def answers(self) -> list[Answer]:
        return [each.answer for each in self.receipt.recipients]


def deliver(server, parcel: Parcel, extra=None, progress=no_progress, port=None, **options) -> Receipt:
    """Deliver to the server. port: another way to it."""
    connection = server.connection(**(extra or {}))
    secrets = Secrets(Path(), {NAME: replace(connection, port=port or connection.port)})
    return webhook.deliver(webhook.Options(connection=NAME, **options), parcel, secrets, progress)
