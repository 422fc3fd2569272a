"""The `file` part of a definition: everything that is wrong with it, at once."""

from __future__ import annotations

import pytest

from include.errors import BadInput
from include.formats.options import FileOptions, file_options, file_problems
from tests.formats.examples import COLUMNS


def codes(document) -> dict[str, str]:
    return {problem.where: problem.code for problem in file_problems(document)}


def test_a_good_part_has_no_problems():
    document = {"format": "csv", "compression": "zip", "options": {"delimiter": ";"}, "name": "{id}_{period}"}
    assert file_problems(document) == []
    file = file_options(document)
    assert (file.format, file.compression, file.extension) == ("csv", "zip", ".csv.zip")


def test_files_are_compressed_by_default():
    assert FileOptions().extension == ".csv.gz"
    assert FileOptions().media_type == "application/gzip"
    assert FileOptions(compression="none").media_type == "text/csv"


@pytest.mark.parametrize("kind", ["xlsx", "parquet"])
def test_a_format_that_compresses_its_content_is_not_compressed_again(kind):
    for compression in ({}, {"compression": None}):
        file = file_options({"format": kind, "split": {"rows": 1}, **compression})
        assert (file.compression, file.extension) == ("none", f".{kind}")
    assert FileOptions(format=kind, compression="zip").extension == f".{kind}.zip"  # unless it is asked for


def test_the_bar_and_the_tab_have_formats_of_their_own():
    assert FileOptions(format="psv").extension == ".psv.gz"
    assert (
        b"".join(
            FileOptions(format="tsv").kind().encode(COLUMNS, [], FileOptions(format="tsv").format_options())
        )
        == ("\t".join(column.name for column in COLUMNS) + "\n").encode()
    )


def test_all_problems_are_told_at_once():
    document = {
        "format": "csv",
        "compression": "rar",
        "colour": "red",
        "options": {"delimiter": "ab", "timezone": "EST", "delimeter": ";"},
    }
    assert set(codes(document)) == {
        "file.compression", "file.colour", "file.options.delimiter", "file.options.timezone",
        "file.options.delimeter",
    }  # fmt: skip
    with pytest.raises(BadInput, match="5 problems"):
        file_options(document)


def test_an_unknown_format_lists_the_known_ones():
    (problem,) = file_problems({"format": "xls"}, "daily.yaml: file")
    assert problem.where == "daily.yaml: file.format"
    assert "csv, json, jsonl, parquet, psv, tsv, xlsx, xml" in problem.right


def test_an_unknown_option_lists_the_known_ones():
    (problem,) = file_problems({"options": {"delimeter": ";"}})
    assert "delimiter" in problem.right


@pytest.mark.parametrize("document", [None, [], "csv", {"options": 1}, {"format": 3}, {"options": {1: 2}}])
def test_nonsense_is_a_problem_not_a_crash(document):
    assert file_problems(document)
