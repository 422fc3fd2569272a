"""The contract of formats: what every module under include/formats that declares a KIND must keep."""

from __future__ import annotations

import io
import itertools
import json
import subprocess
import sys
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from include import formats, kinds
from include.formats import artefact, parallel
from include.formats.manifest import Origin, file_entry, manifest_of, write_manifest
from include.formats.options import FileOptions
from include.formats.verify import verify
from include.ledger.catalog import FieldType
from include.ledger.columns import Column
from tests.examples import examples
from tests.formats.examples import COLUMNS, CUTS, RANDOM_ROWS, ROWS, chunked, table
from tests.formats.limits import held, seen

KINDS = kinds.names(formats)
every_format = pytest.mark.parametrize("kind", KINDS)
NAMES = [
    "a b",
    "Journal No.",
    "*Amount",
    "été",
    "漢",
    'with "quotes"',
    "1st",
    "xml",
    "a",
    "A",
    "a<b>&c",
    "=x",
    "'=x",
    "_x0041_",
]
NAME_TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"]), min_size=1, max_size=12)
few = examples(100, suppress_health_check=[HealthCheck.function_scoped_fixture])


def module(kind: str):
    return kinds.load(formats, kind, where="test")


def encoded(kind: str, batches, columns=COLUMNS) -> bytes:
    return b"".join(module(kind).encode(columns, batches, module(kind).Options()))


def test_there_are_formats():
    assert {"csv", "json", "jsonl", "parquet", "psv", "tsv", "xlsx", "xml"} == set(KINDS)


@every_format
def test_its_file_has_the_parts_of_a_format(kind):
    found = module(kind)
    assert kind == found.KIND
    assert found.EXTENSION.startswith(".")
    assert "/" in found.MEDIA_TYPE
    schema = found.Options.model_json_schema()
    assert schema["additionalProperties"] is False
    json.dumps(schema)
    assert found.Options.model_validate(found.Options().model_dump(mode="json")) == found.Options()


@every_format
def test_no_rows_make_a_file_that_reads_as_no_rows(kind):
    content = encoded(kind, [])
    assert content == encoded(kind, [table([])])
    assert list(module(kind).read(io.BytesIO(content), COLUMNS, module(kind).Options())) == []


@every_format
@few
@given(rows=RANDOM_ROWS, cuts=CUTS)
@pytest.mark.slow
def test_bytes_do_not_depend_on_how_rows_are_batched(kind, rows, cuts):
    batch = table(held(kind, rows))
    assert encoded(kind, chunked(batch, cuts)) == encoded(kind, [batch])


@every_format
@pytest.mark.slow
def test_bytes_do_not_depend_on_the_number_of_threads(kind, monkeypatch):
    batches = [table(held(kind, ROWS) * 700)] * 5
    found = []
    for count in (1, 4):
        monkeypatch.setattr(parallel, "threads", lambda count=count: count)
        found.append(encoded(kind, batches))
    assert found[0] == found[1]


@every_format
@few
@given(rows=RANDOM_ROWS)
@pytest.mark.slow
def test_an_independent_reader_gets_back_every_value(kind, rows):
    rows = held(kind, rows)
    options = module(kind).Options()
    read = list(module(kind).read(io.BytesIO(encoded(kind, [table(rows)])), COLUMNS, options))
    assert len(read) == len(rows)
    for wrote, got in zip(rows, read, strict=True):
        for column, value, cell in zip(COLUMNS, wrote, got, strict=True):
            if value is None or (value == "" and cell is None):
                assert cell in (None, ""), column
            elif column.type is FieldType.POINTS:
                assert Decimal(cell) * 100 == value
            elif column.type in (FieldType.MONEY, FieldType.RATE):
                assert Decimal(cell) == value
            elif column.type is FieldType.INTEGER:
                assert int(cell) == value
            elif column.type in (FieldType.ID, FieldType.TEXT):
                assert cell == value
            elif column.type is FieldType.INSTANT:
                assert cell == seen(kind, value).isoformat().replace("+00:00", "Z")
            elif column.type is FieldType.DATE:
                assert cell == value.isoformat()
            elif column.type is FieldType.BOOLEAN:
                assert cell == str(value).lower()


@every_format
@few
@given(rows=RANDOM_ROWS, cuts=CUTS)
@pytest.mark.slow
def test_a_dictionary_is_written_as_its_values(kind, rows, cuts):
    batch = table(held(kind, rows))
    arrays = [
        column.dictionary_encode() if column.type == pa.string() else column for column in batch.columns
    ]
    coded = pa.record_batch(arrays, names=batch.schema.names)
    # Each of the batches may bring a dictionary of its own.
    other = [
        pa.record_batch([pa.concat_arrays([a]) for a in one.columns], names=one.schema.names)
        for one in chunked(coded, cuts)
    ]
    assert encoded(kind, other) == encoded(kind, [batch])


@every_format
@given(names=st.lists(st.one_of(st.sampled_from(NAMES), NAME_TEXTS), min_size=1, max_size=5))
@few
@pytest.mark.slow
def test_any_header_reads_back(kind, names):
    columns = [Column(name, FieldType.INTEGER) for name in names]
    if kind in ("json", "jsonl") and len(set(names)) < len(names):
        return  # an object has no key twice; definitions refuse doubled headers
    content = encoded(kind, [table([(7,) * len(names)], columns)], columns)
    assert [list(row) for row in module(kind).read(io.BytesIO(content), columns, module(kind).Options())] == [
        ["7"] * len(names)
    ]


@every_format
@pytest.mark.slow
def test_rows_beyond_a_piece_and_a_group_read_back(kind):
    """More rows than a Parquet group or any piece, cut unevenly; checked by their number and their sum."""
    columns = [Column("id", FieldType.ID), Column("points", FieldType.POINTS)]
    count = 130_001
    batch = pa.record_batch(
        [pa.array([f"t{n}" for n in range(count)]), pa.array(range(count))], names=["id", "points"]
    )
    content = encoded(kind, chunked(batch, [1, 8191, 8193, 100_000]), columns)
    assert content == encoded(kind, [batch], columns)
    total = rows = 0
    for rows, (name, points) in enumerate(
        module(kind).read(io.BytesIO(content), columns, module(kind).Options()), 1
    ):
        assert name == f"t{rows - 1}"
        total += Decimal(points)
    assert (rows, total * 100) == (count, count * (count - 1) // 2)


@every_format
@pytest.mark.slow
def test_it_streams(kind):
    given = 0

    def endless():
        nonlocal given
        while True:
            given += 1
            yield batch

    batch = table(held(kind, ROWS) * 600)
    chunks = module(kind).encode(COLUMNS, endless(), module(kind).Options())
    assert sum(len(chunk) for chunk in itertools.islice(chunks, 40)) > 20_000
    assert given < 1_500
    chunks.close()


@every_format
def test_an_error_of_the_rows_comes_through_and_leaves_nothing(kind, tmp_path):
    def broken():
        yield table()
        raise RuntimeError("the ledger went away")

    with pytest.raises(RuntimeError, match="went away"):
        artefact.write(tmp_path / "x", COLUMNS, broken(), FileOptions(format=kind))
    assert list(tmp_path.iterdir()) == []


@every_format
@pytest.mark.parametrize("compression", ["none", "gzip", "zip", "zstd"])
def test_what_is_written_verifies(kind, compression, tmp_path):
    file = FileOptions(format=kind, compression=compression)
    rows = held(kind, ROWS)
    batches = [table(rows * 30)] * 3
    made = artefact.write(tmp_path / f"x{file.extension}", COLUMNS, batches, file)
    assert made.rows == len(rows) * 90
    origin = Origin(export_id="x", definition_version="v", run_key="k", snapshot_id="s", code_version="c")
    manifest = manifest_of([file_entry(made, COLUMNS, file)], origin, sequence=1, previous=None)
    assert verify(write_manifest(tmp_path, manifest)) == []


@every_format
def test_a_changed_file_does_not_verify(kind, tmp_path):
    file = FileOptions(format=kind, compression="none")
    made = artefact.write(tmp_path / f"x{file.extension}", COLUMNS, [table(held(kind, ROWS))], file)
    origin = Origin(export_id="x", definition_version="v", run_key="k", snapshot_id="s", code_version="c")
    path = write_manifest(
        tmp_path, manifest_of([file_entry(made, COLUMNS, file)], origin, sequence=1, previous=None)
    )
    first, *others = held(kind, ROWS)
    assert first[2] == 1250
    artefact.write(made.path, COLUMNS, [table([(*first[:2], 1350, *first[3:]), *others])], file)
    codes = {problem.code for problem in verify(path)}
    assert {"sha256_differ", "totals_differ"} <= codes


@every_format
@pytest.mark.parametrize("compression", ["gzip", "zstd", None])
def test_the_same_rows_give_the_same_file(kind, compression, tmp_path):
    file = FileOptions(format=kind, compression=compression)
    batches = [table(held(kind, ROWS) * 100)] * 3
    hashes = {artefact.write(tmp_path / name, COLUMNS, batches, file).sha256 for name in ("a", "b")}
    assert len(hashes) == 1


@every_format
@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows(kind):
    """Peak memory of a process that writes 1,400,000 rows after 200,000: they are over 60 MiB more."""
    command = [sys.executable, "-m", "tests.formats.peak", kind, "200000", "1400000"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert int(done.stdout) < 40, "MiB"
