"""Artefacts: whole or absent, through full disks and kills; totals that are exact; flat memory."""

from __future__ import annotations

import hashlib
import os
import resource
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from include.errors import Permanent
from include.formats import artefact
from include.formats.hashes import file_sha256
from include.formats.options import FileOptions
from include.ledger.catalog import FieldType
from include.ledger.columns import Column
from include.ledger.hashing import text_hash
from tests.forks import ended, forked
from tests.formats import killed_writer
from tests.formats.examples import COLUMNS, ROWS, table
from tests.formats.killed_writer import BIG_COLUMNS, PLAIN, big


def test_what_is_known_of_a_file(tmp_path):
    made = artefact.write(tmp_path / "x.csv", COLUMNS, [table()], PLAIN)
    content = made.path.read_bytes()
    assert made.bytes == made.uncompressed_bytes == len(content)
    assert made.sha256 == made.uncompressed_sha256 == hashlib.sha256(content).hexdigest()
    assert made.rows == len(ROWS)
    assert made.totals == {
        "points": str(sum(Decimal(row[2] or 0) for row in ROWS).scaleb(-2)),
        "money": str(sum((row[3] or 0 for row in ROWS), Decimal("0.0000"))),
    }
    assert made.id_column == "id"
    assert made.id_hash_total == f"{sum(text_hash(row[0].encode()) for row in ROWS) % 2**64:016x}"


def test_the_ids_that_are_counted_tell_rows_apart(tmp_path):
    columns = [
        Column(name, FieldType.ID) for name in ("program_id", "subledger_id", "holder_id", "customer_id")
    ]
    assert [artefact.Totals(columns[first:]).id_column for first in range(4)] == [
        "holder_id", "holder_id", "holder_id", "customer_id",
    ]  # fmt: skip
    assert artefact.Totals(columns[:2]).id_column == "program_id"


def test_totals_go_beyond_64_bits(tmp_path):
    columns = [Column("p", FieldType.POINTS)]
    batch = pa.record_batch([pa.array([2**63 - 1, 2**63 - 1, None])], names=["p"])
    made = artefact.write(tmp_path / "x.csv", columns, [batch, batch], PLAIN)
    assert made.totals == {"p": str(Decimal(4 * (2**63 - 1)).scaleb(-2))}
    assert made.id_hash_total is None


def test_a_compressed_file_knows_its_content_too(tmp_path):
    plain = artefact.write(tmp_path / "x.csv", COLUMNS, [table()], PLAIN)
    for compression in ("gzip", "zip"):
        made = artefact.write(tmp_path / "y", COLUMNS, [table()], FileOptions(compression=compression))
        assert made.uncompressed_sha256 == plain.sha256
        assert made.sha256 == file_sha256(made.path) != plain.sha256


def test_a_full_disk_is_told_with_path_and_bytes_and_leaves_nothing(tmp_path):
    """A real, small file system where we may mount one, else a limit on the size of files."""
    if os.geteuid() == 0 and mount(tmp_path):
        try:
            check_full(tmp_path)
        finally:
            subprocess.run(["umount", tmp_path], check=True)
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        check_full(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)


def mount(folder: Path) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def check_full(folder: Path) -> None:
    with pytest.raises(Permanent) as caught:
        artefact.write(folder / "x.csv", BIG_COLUMNS, big(), PLAIN)
    assert str(folder / "x.csv") in str(caught.value)
    assert "more than" in str(caught.value)
    assert list(folder.iterdir()) == []


def test_no_right_to_write_is_told(tmp_path):
    (tmp_path / "file").write_text("a file, not a folder")
    with pytest.raises(Permanent, match="file"):
        artefact.write(tmp_path / "file" / "x.csv", COLUMNS, [table()], PLAIN)


def kill_at(folder: Path, point: str) -> int:
    """Write in a process that kills itself at the point: before its n-th call on the folder, or mid write."""
    return ended(forked(lambda: killed_writer.write(folder, point)))


@pytest.mark.slow
def test_a_kill_leaves_the_name_absent_or_the_file_whole(tmp_path):
    whole = artefact.write(tmp_path / "whole.csv", BIG_COLUMNS, big(), PLAIN).sha256
    seen = set()
    for point in ["middle", *map(str, range(6))]:
        folder = tmp_path / point
        code = kill_at(folder, point)
        assert code in (0, -signal.SIGKILL)
        path = folder / "x.csv"
        seen.add((code, path.exists()))
        assert not path.exists() or file_sha256(path) == whole
        left = {found.name for found in folder.iterdir()} if folder.exists() else set()
        assert left <= {"x.csv", ".part-x.csv"}
        made = artefact.write(path, BIG_COLUMNS, big(), PLAIN)
        assert made.sha256 == whole
        assert [found.name for found in folder.iterdir()] == ["x.csv"]
    assert {(-signal.SIGKILL, False), (-signal.SIGKILL, True), (0, True)} <= seen


@pytest.mark.slow
def test_memory_does_not_grow_with_rows(tmp_path):
    code = (
        "import sys; from pathlib import Path; from include.formats import artefact\n"
        "from include.formats.options import FileOptions\n"
        "from tests.formats.killed_writer import BIG_COLUMNS, big\n"
        "from tests.formats.peak import peak_mib\n"
        "for count in (10, 70):\n"
        "    batches = (big()[:1] * count)\n"
        "    artefact.write(Path(sys.argv[1]), BIG_COLUMNS, batches, FileOptions())\n"
        "    print(peak_mib())"
    )
    command = [sys.executable, "-c", code, tmp_path / "x.csv.gz"]
    done = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    peaks = [int(peak) for peak in done.split()]
    assert peaks[1] - peaks[0] < 40  # MiB: 0.5 and 3.5 million rows
