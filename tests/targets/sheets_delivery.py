"""Deliveries to the stub of Google Sheets: parcels as the pipeline makes them, and what stands on a tab."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from include.formats import artefact
from include.formats.bundle import write_bundle
from include.formats.hashes import file_sha256
from include.formats.manifest import (
    SUFFIX,
    ManifestColumn,
    ManifestFile,
    Origin,
    file_entry,
    manifest_of,
    write_manifest,
)
from include.formats.options import FileOptions
from include.ledger.catalog import FieldType
from include.ledger.columns import Column
from include.targets import google_sheets
from include.targets.google_sheets import Options
from include.targets.protocol import About, Outcome, Parcel, ParcelFile, Receipt, no_progress
from include.targets.sheets import client, loading
from tests.formats.examples import table
from tests.servers import sheets
from tests.servers.sheets import BOOK, NAME, Google

COLUMNS = [
    Column("id", FieldType.ID),
    Column("name", FieldType.TEXT),
    Column("points", FieldType.POINTS),
    Column("money", FieldType.MONEY),
    Column("at", FieldType.INSTANT),
]
ROWS = [
    ("007", "Ada", 1250, Decimal("12.5"), datetime(2026, 3, 1, 6, tzinfo=UTC)),
    ("1E5", "=1+1", -50, Decimal("0.0375"), datetime(2026, 7, 1, 22, 30, 15, 999_999, tzinfo=UTC)),
    ("-1", None, 0, None, None),
]
HEADER = [column.name for column in COLUMNS]
# 2026-03-01 is day 46082 of a spreadsheet; 06:00 UTC is 07:00 in Paris: 7/24 = 0.29166...
# 2026-07-01 is day 46204; 22:30:15 UTC is 00:30:15 of the next day in Paris: 1815/86400 = 0.0210069...
SHOWN = [
    HEADER,
    ["007", "Ada", 12.5, 12.5, 46082.2916666667],
    ["1E5", "=1+1", -0.5, 0.0375, 46205.0210069444],
    ["-1", None, 0],
]
OPTIONS = {"connection": NAME, "spreadsheet": BOOK}
MODES = {"replace": {}, "append": {"mode": "append"}, "upsert": {"mode": "upsert", "key": ["id"]}}
BEFORE = SHOWN[:2]


@pytest.fixture
def google(monkeypatch) -> Iterator[Google]:
    """The stub; whatever was asked of it must be what Google has published."""
    monkeypatch.setattr(client, "BACKOFF_SECONDS", 0.002)
    with sheets.google() as running:
        yield running
        assert running.violations == []


def parcel(
    folder: Path,
    rows: Sequence[tuple] = ROWS,
    *,
    key: str = "key1",
    columns: Sequence[Column] = COLUMNS,
    file: Mapping[str, Any] | None = None,
    files: Mapping[str, Sequence[tuple]] | None = None,
    bundle: bool = False,
    about: Mapping[str, Any] | None = None,
    exports: Mapping[str, str] | None = None,
    **origin: Any,
) -> Parcel:
    """Files of these rows with their manifest. files: several, by name; exports: of which export each is."""
    folder = folder / f"source-{key}-{len(list(folder.glob('source-*')))}"
    folder.mkdir(parents=True)
    options = FileOptions.model_validate(dict(file or {}))
    wanted = files or {f"daily{options.extension}": rows}
    entries = []
    for name, its_rows in wanted.items():
        written = artefact.write(folder / name, columns, [table(its_rows, columns)], options)
        entries.append(file_entry(written, columns, options, export=(exports or {}).get(name)))
    facts = {
        "export_id": "daily", "definition_version": "v1", "run_key": "r1", "snapshot_id": "s1", "code_version": "c1",
        "as_of": datetime(2026, 3, 2, tzinfo=UTC), **origin,
    }  # fmt: skip
    paths = [folder / name for name in wanted]
    archive = write_bundle(folder / "all.zip", paths) if bundle else None
    manifest = manifest_of(
        entries,
        Origin(**facts),
        sequence=1,
        previous=None,
        bundle=archive,
        name="all.zip" if bundle else next(iter(wanted)),
    )
    path = write_manifest(folder, manifest)
    sent = [*([folder / "all.zip"] if bundle else paths), path]
    found = [ParcelFile(each, each.name, file_sha256(each), each.stat().st_size, "text/csv") for each in sent]
    told = {"export_id": "daily", "name": "Daily points", "period": "2026-03-01", "timezone": "Europe/Paris"}
    return Parcel(found, key, About(**{**told, **(about or {})}))


def deliver(google: Google, sent: Parcel, **options: Any) -> Receipt:
    """Deliver to BOOK, unless the options say otherwise."""
    chosen = Options.model_validate({**OPTIONS, **options})
    return google_sheets.deliver(chosen, sent, google.secrets(), no_progress)


def outcomes(receipt: Receipt) -> list[Outcome]:
    return [file.outcome for file in receipt.files]


def again(sent: Parcel, key: str) -> Parcel:
    """The same files as another delivery."""
    return replace(sent, key=key)


def stamp_of(google: Google, tab: str) -> dict[str, Any]:
    """What the last delivery wrote down on a tab."""
    marks = google.book.sheet(tab).metadata.values()
    found = [json.loads(each["metadataValue"]) for each in marks if each["metadataKey"] == "loyalty_delivery"]
    return max(found, key=lambda each: each["n"])


def described(sent: Parcel, folder: Path) -> Parcel:
    """A parcel of any texts, with a manifest that calls them CSV files: their first line is the header."""
    entries = []
    for file in sent.files:
        lines = file.path.read_text().splitlines()
        entries.append(
            ManifestFile(
                name=file.name, export=file.name, format="csv", compression="none", media_type="text/csv",
                options={"profile": "machine", "header": bool(lines)}, bytes=file.bytes, sha256=file.sha256,
                uncompressed_bytes=file.bytes, uncompressed_sha256=file.sha256 if len(file.sha256) == 64 else "0" * 64,
                columns=[ManifestColumn(name=name, type=FieldType.TEXT) for name in (lines or [""])[0].split(",")],
                rows=max(0, len(lines) - 1), totals={}, id_column=None, id_hash_total=None,
            )
        )  # fmt: skip
    facts = {
        "export_id": "any",
        "definition_version": "v1",
        "run_key": "r",
        "snapshot_id": "s",
        "code_version": "c",
    }
    manifest = manifest_of(entries, Origin(**facts), sequence=1, previous=None, name=f"all-{sent.key}")
    path = folder / (manifest.name + SUFFIX)
    path.write_bytes(manifest.canonical())
    last = ParcelFile(path, path.name, file_sha256(path), path.stat().st_size, "application/json")
    return replace(sent, files=[*sent.files, last])


def staged(monkeypatch):
    monkeypatch.setattr(loading, "INLINE_BYTES", 0)


def earlier(google, tmp_path, mode):
    """A tab on which a delivery has been."""
    deliver(google, parcel(tmp_path, ROWS[:1], key="key0"), **MODES[mode])
    google.asked.clear()


def rest(tmp_path, mode, **more):
    """What follows: with it, every mode shows the same."""
    return parcel(tmp_path, ROWS[1:] if mode == "append" else ROWS, **more)


def check_whole(google):
    """Readers see all rows once, and nothing hidden is left."""
    assert google.book.shown == {"Sheet1": [], "daily": SHOWN}
    assert len(google.book.sheets) == 2
