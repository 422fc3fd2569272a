"""Manifests: canonical bytes, and a verification that finds every kind of damage."""

from __future__ import annotations

import gzip
import hashlib
import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from include.errors import BadInput
from include.formats import artefact
from include.formats.manifest import (
    Bundle,
    Manifest,
    Origin,
    file_entry,
    manifest_of,
    read_manifest,
    write_manifest,
)
from include.formats.options import FileOptions
from include.formats.verify import verify
from tests.formats.examples import COLUMNS, ROWS, table

ORIGIN = Origin(
    export_id="daily", definition_version="v1", run_key="k1", snapshot_id="s1", code_version="c1",
    as_of=datetime.fromisoformat("2026-03-01T01:00:00+01:00"), known_at=datetime(2026, 3, 1, 1, tzinfo=UTC),
    notes=("the ledger has no recorded_at",),
)  # fmt: skip


def made(
    folder: Path, name="x.csv.gz", sequence=1, previous=None, rows=ROWS, **origin
) -> tuple[Path, Manifest]:
    file = FileOptions()
    written = artefact.write(folder / name, COLUMNS, [table(rows)], file)
    origin = ORIGIN.model_copy(update=origin)
    manifest = manifest_of([file_entry(written, COLUMNS, file)], origin, sequence=sequence, previous=previous)
    return write_manifest(folder, manifest), manifest


def found(path: Path) -> set[str]:
    return {problem.code for problem in verify(path)}


def test_it_says_what_is_in_the_file_and_where_it_came_from(tmp_path):
    path, manifest = made(tmp_path)
    document = json.loads(path.read_bytes())
    assert path.name == "x.csv.gz.manifest.json"
    assert document["files"][0]["rows"] == len(ROWS)
    assert document["files"][0]["totals"]["points"] == "-92233720368547646.07"
    assert document["origin"]["as_of"] == "2026-03-01T00:00:00Z"
    assert document["files"][0]["options"]["profile"] == "human"
    assert document["files"][0]["compression"] == "gzip"
    assert read_manifest(path) == manifest


def test_the_same_facts_give_the_same_bytes(tmp_path):
    path, manifest = made(tmp_path)
    assert path.read_bytes() == manifest.canonical() == read_manifest(path).canonical()
    content = path.read_bytes()
    assert made(tmp_path)[0].read_bytes() == content


def test_a_chain_of_files_verifies(tmp_path):
    first, manifest = made(tmp_path, "a.csv.gz")
    second, after = made(tmp_path, "b.csv.gz", 2, manifest.sha256())
    third, _ = made(tmp_path, "c.csv.gz", 3, after.sha256())
    assert [verify(path) for path in (first, second, third)] == [[], [], []]
    first.unlink()
    assert verify(second) == []  # nothing is known of what is not beside it


def test_a_broken_chain_is_found(tmp_path):
    _, manifest = made(tmp_path, "a.csv.gz")
    second, _ = made(tmp_path, "b.csv.gz", 2, manifest.sha256())
    made(tmp_path, "a.csv.gz", rows=ROWS[:1])  # the first one is written anew
    assert found(second) == {"chain_broken"}
    assert found(made(tmp_path, "c.csv.gz", 2, manifest.sha256())[0]) == {"chain_twice", "chain_broken"}
    assert found(made(tmp_path, "d.csv.gz", 5, None)[0]) == {"chain_start"}
    assert found(made(tmp_path, "e.csv.gz", 1, "0" * 64, export_id="other")[0]) == {"chain_start"}


def rewritten(path: Path, change) -> Path:
    """The manifest with a change, written canonically, as a careful forger would."""
    document = json.loads(path.read_bytes())
    change(document)
    path.write_bytes(Manifest.model_validate(document).canonical())
    return path


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda m: m["files"][0].update(rows=9), "rows_differ"),
        (lambda m: m["files"][0]["totals"].update(points="1.00"), "totals_differ"),
        (lambda m: m["files"][0]["totals"].pop("money"), "totals_differ"),
        (lambda m: m["files"][0].update(id_hash_total="0" * 16), "id_hash_total_differ"),
        (lambda m: m["files"][0].update(sha256="0" * 64), "sha256_differ"),
        (lambda m: m["files"][0].update(bytes=1), "bytes_differ"),
        (lambda m: m["files"][0].update(uncompressed_bytes=1), "uncompressed_bytes_differ"),
        (lambda m: m["files"][0].update(uncompressed_sha256="0" * 64), "uncompressed_sha256_differ"),
        (lambda m: m["files"][0]["columns"].reverse(), "file_damaged"),
        (lambda m: m["files"][0].update(compression="none"), "file_damaged"),
        (lambda m: m["files"][0].update(compression="zip"), "file_damaged"),
        (lambda m: m["files"][0].update(format="xls"), "unknown_format"),
        (lambda m: m["files"][0].update(options={"nonsense": 1}), "file_damaged"),
    ],
)
def test_a_forged_figure_is_found(tmp_path, change, code):
    path, _ = made(tmp_path)
    assert code in found(rewritten(path, change))


def test_a_number_that_is_none_is_found(tmp_path):
    path, _ = made(tmp_path)
    data = tmp_path / "x.csv.gz"
    content = gzip.decompress(data.read_bytes())
    data.write_bytes(gzip.compress(content.replace(b"12.50,12.50", b"12.50,twelve")))
    assert "file_damaged" in found(path)
    assert any("row 1, column money" in problem.right for problem in verify(path))


@pytest.mark.parametrize("keep", [0, 5, 100, -1])
def test_a_cut_file_is_found(tmp_path, keep):
    path, _ = made(tmp_path)
    data = tmp_path / "x.csv.gz"
    data.write_bytes(data.read_bytes()[:keep])
    assert {"bytes_differ", "sha256_differ"} <= found(path)


def test_a_missing_file_is_found(tmp_path):
    path, _ = made(tmp_path)
    (tmp_path / "x.csv.gz").unlink()
    assert found(path) == {"file_missing"}


def test_an_edited_or_moved_manifest_is_found(tmp_path):
    path, _ = made(tmp_path)
    path.write_bytes(path.read_bytes() + b"\n")
    assert found(path) == {"manifest_edited"}
    moved = path.rename(tmp_path / "other.manifest.json")
    assert "manifest_name" in found(moved)


@pytest.mark.parametrize("content", [b"", b"{}", b"not json", b"\xff\xfe", b'{"manifest": 2}'])
def test_what_is_no_manifest_is_a_problem(tmp_path, content):
    path = tmp_path / "x.manifest.json"
    path.write_bytes(content)
    assert found(path) == {"bad_manifest"}
    with pytest.raises(BadInput):
        read_manifest(path)


def test_a_manifest_that_is_not_there_is_a_problem(tmp_path):
    assert found(tmp_path / "x.manifest.json") == {"no_manifest"}


def test_a_manifest_cannot_point_outside_its_folder(tmp_path):
    (tmp_path / "in").mkdir()
    path, _ = made(tmp_path / "in")
    made(tmp_path, "secret.csv.gz")
    rewritten(path, lambda m: m["files"][0].update(name="../secret.csv.gz"))
    assert "file_missing" in found(path)


def several(folder: Path, names=("a.csv.gz", "b.csv.gz")) -> tuple[Path, Manifest]:
    """One manifest of two files."""
    file = FileOptions()
    written = [artefact.write(folder / name, COLUMNS, [table()], file) for name in names]
    entries = [file_entry(each, COLUMNS, file, export=each.path.name[0]) for each in written]
    manifest = manifest_of(entries, ORIGIN, name="pack", sequence=1, previous=None)
    return write_manifest(folder, manifest), manifest


def test_several_files_have_one_manifest_and_each_is_looked_at(tmp_path):
    path, manifest = several(tmp_path)
    assert path.name == "pack.manifest.json"
    assert [each.export for each in manifest.files] == ["a", "b"]
    assert verify(path) == []
    (tmp_path / "b.csv.gz").unlink()
    assert found(path) == {"file_missing"}


def test_files_in_an_archive_are_looked_at_inside_it(tmp_path):
    _, manifest = several(tmp_path)
    with zipfile.ZipFile(tmp_path / "pack.zip", "w") as archive:
        for name in ("a.csv.gz", "b.csv.gz"):
            archive.write(tmp_path / name, name)
            (tmp_path / name).unlink()
    content = (tmp_path / "pack.zip").read_bytes()
    bundle = Bundle(name="pack.zip", bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    path = write_manifest(tmp_path, manifest.model_copy(update={"bundle": bundle}))
    assert verify(path) == []
    (tmp_path / "pack.zip").write_bytes(content[:-30])
    assert {"bytes_differ", "sha256_differ", "file_damaged", "file_missing"} == found(path)
