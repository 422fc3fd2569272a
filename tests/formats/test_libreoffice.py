"""LibreOffice opens what we write, shows it as meant, and runs no text as a formula."""

from __future__ import annotations

import csv
import subprocess
from pathlib import Path

import pytest

from include.formats.options import FileOptions
from tests.formats.examples import COLUMNS, ROWS, table
from tests.formats.programs import program

pytestmark = pytest.mark.slow
ROWS_SHOWN = [ROWS[0], ROWS[3], ROWS[5], ROWS[7]]
SHOWN = COLUMNS[:9]
# , " UTF-8, from line 1; then: no quotes around all texts, numbers and all cells as they show
AS_SHOWN = "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,true"
READ_CSV = "CSV:44,34,76,1,,0,false,true"


def opened(kind: str, folder: Path, *more: str) -> list[list[str]]:
    """The cells of a file of this format as LibreOffice shows them."""
    office, file = program("soffice"), FileOptions(format=kind, compression="none")
    path = folder / f"x.{kind}"
    path.write_bytes(b"".join(file.kind().encode(SHOWN, [table(ROWS_SHOWN, SHOWN)], file.format_options())))
    command = [
        office,
        f"-env:UserInstallation=file://{folder}/profile",
        "--headless",
        *more,
        "--convert-to",
        AS_SHOWN,
    ]
    subprocess.run([*command, "--outdir", folder / "out", path], check=True, capture_output=True, timeout=300)
    with (folder / "out" / "x.csv").open(encoding="utf-8", newline="") as shown:
        return list(csv.reader(shown))


def test_a_workbook(tmp_path):
    header, first, formula, empty, last = opened("xlsx", tmp_path)
    assert header == [column.name for column in SHOWN]
    assert first == [
        "t1",
        "plain",
        "12.50",
        "12.50",
        "0.0125",
        "2026-03-01 06:00:00",
        "2026-03-01",
        "7",
        "TRUE",
    ]
    assert formula[:3] == ["=t4", '=HYPERLINK("http://x")', "100.00"]  # texts; nothing was computed
    assert empty == ["t6", *[""] * 8]
    assert last[:3] == ["-1", "'@already", "0.01"]


def test_a_csv_file_for_people(tmp_path):
    header, first, formula, _, last = opened("csv", tmp_path, f"--infilter={READ_CSV}")
    assert header == [column.name for column in SHOWN]
    assert first[:2] == ["t1", "plain"]
    assert [float(number) for number in first[2:5]] == [12.5, 12.5, 0.0125]
    # With the apostrophe in front, LibreOffice takes them for texts.
    assert formula[:2] == ["'=t4", '\'=HYPERLINK("http://x")']
    assert last[:2] == ["'-1", "''@already"]
