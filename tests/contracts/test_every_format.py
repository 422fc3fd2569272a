"""The contract of formats: what every module under include/formats that declares a KIND must keep."""

from __future__ import annotations

import io
import itertools
import json
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings

from include import formats, kinds
from include.formats import artefact, parallel
from include.formats.manifest import Origin, file_entry, manifest_of, write_manifest
from include.formats.options import FileOptions
from include.formats.verify import verify
from include.ledger.catalog import FieldType
from tests.formats.examples import COLUMNS, CUTS, RANDOM_ROWS, ROWS, chunked, table

KINDS = kinds.names(formats)
every_format = pytest.mark.parametrize("kind", KINDS)
few = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def module(kind: str):
    return kinds.load(formats, kind, where="test")


def encoded(kind: str, batches, columns=COLUMNS) -> bytes:
    return b"".join(module(kind).encode(columns, batches, module(kind).Options()))


def test_there_are_formats():
    assert {"csv", "jsonl"} <= set(KINDS)


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
def test_bytes_do_not_depend_on_how_rows_are_batched(kind, rows, cuts):
    batch = table(rows)
    assert encoded(kind, chunked(batch, cuts)) == encoded(kind, [batch])


@every_format
def test_bytes_do_not_depend_on_the_number_of_threads(kind, monkeypatch):
    batches = [table(ROWS * 700)] * 5
    found = []
    for count in (1, 4):
        monkeypatch.setattr(parallel, "threads", lambda count=count: count)
        found.append(encoded(kind, batches))
    assert found[0] == found[1]


@every_format
@few
@given(rows=RANDOM_ROWS)
def test_an_independent_reader_gets_back_every_value(kind, rows):
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
                assert cell == value.isoformat().replace("+00:00", "Z")
            elif column.type is FieldType.DATE:
                assert cell == value.isoformat()


@every_format
def test_it_streams(kind):
    endless = itertools.repeat(table(ROWS * 600))
    chunks = module(kind).encode(COLUMNS, endless, module(kind).Options())
    assert sum(len(chunk) for chunk in itertools.islice(chunks, 20)) > 100_000
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
@pytest.mark.parametrize("compression", ["none", "gzip", "zip"])
def test_what_is_written_verifies(kind, compression, tmp_path):
    file = FileOptions(format=kind, compression=compression)
    batches = [table(ROWS * 30)] * 3
    made = artefact.write(tmp_path / f"x{file.extension}", COLUMNS, batches, file)
    assert made.rows == len(ROWS) * 90
    origin = Origin(export_id="x", definition_version="v", run_key="k", snapshot_id="s", code_version="c")
    manifest = manifest_of([file_entry(made, COLUMNS, file)], origin, sequence=1, previous=None)
    assert verify(write_manifest(tmp_path, manifest)) == []


@every_format
def test_a_changed_file_does_not_verify(kind, tmp_path):
    file = FileOptions(format=kind, compression="none")
    made = artefact.write(tmp_path / f"x{file.extension}", COLUMNS, [table()], file)
    origin = Origin(export_id="x", definition_version="v", run_key="k", snapshot_id="s", code_version="c")
    path = write_manifest(
        tmp_path, manifest_of([file_entry(made, COLUMNS, file)], origin, sequence=1, previous=None)
    )
    content = made.path.read_bytes()
    assert b"12.5" in content
    made.path.write_bytes(content.replace(b"12.5", b"13.5", 1))
    codes = {problem.code for problem in verify(path)}
    assert {"sha256_differ", "totals_differ"} <= codes
