"""XML: golden files, the schema that each fulfils, names and characters that XML cannot hold."""

from __future__ import annotations

import io
import os
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.errors import BadInput
from include.formats import xml as kind
from include.ledger.catalog import FieldType
from include.ledger.columns import Column
from tests.examples import examples
from tests.formats.examples import COLUMNS, RANDOM_ROWS, ROWS, TEXTS, table
from tests.formats.limits import held
from tests.formats.programs import program

GOLDEN = Path(__file__).parents[1] / "golden" / "formats"
STYLES = {
    "default": {},
    "attributes": {"fields": "attributes", "root": "export", "row": "member"},
    "france": {
        "dates": "dd/mm/yyyy",
        "instants": "%d/%m/%Y <%H:%M>",
        "timezone": "Europe/Paris",
        "points": "plain",
    },
}
ODD_COLUMNS = [
    Column(name, FieldType.TEXT)
    for name in ("Journal No.", "*Date", "1st", "xml:a", "a b", "a-b", "a_b", "é<&>", "")
]


def text(options: dict, rows=ROWS, columns=COLUMNS) -> bytes:
    return b"".join(kind.encode(columns, [table(rows, columns)], kind.Options(**options)))


# By hand: 1250 hundredths of a point are 12.50; 2026-03-01T06:00Z is 07:00 in Paris, an hour before UTC + 1.
@pytest.mark.parametrize("name", STYLES)
@pytest.mark.parametrize("end", ["xml", "xsd"])
def test_golden(name, end):
    path = GOLDEN / f"{name}.{end}"
    content = text(STYLES[name]) if end == "xml" else kind.schema(COLUMNS, kind.Options(**STYLES[name]))
    if os.environ.get("GOLDEN") == "write":
        path.write_bytes(content)
    assert content == path.read_bytes()


@pytest.mark.parametrize("name", STYLES)
@pytest.mark.parametrize("rows", [ROWS, []], ids=["rows", "none"])
@pytest.mark.parametrize("columns", [COLUMNS, ODD_COLUMNS], ids=["every type", "odd names"])
def test_xmllint_says_that_it_fulfils_its_schema(name, rows, columns, tmp_path):
    xmllint = program("xmllint")
    rows = rows if columns is COLUMNS else [("x",) * len(columns), (None,) * len(columns)]
    (tmp_path / "x.xsd").write_bytes(kind.schema(columns, kind.Options(**STYLES[name])))
    (tmp_path / "x.xml").write_bytes(text(STYLES[name], rows, columns))
    command = [xmllint, "--noout", "--schema", tmp_path / "x.xsd", tmp_path / "x.xml"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"12.50<", b"12.505<"),
        (b">7<", b">seven<"),
        (b"2026-03-01T", b"2026-13-01T"),
        (b"<id>t2</id>", b"<other/>"),
    ],
)
def test_the_schema_refuses_other_files(old, new, tmp_path):
    xmllint = program("xmllint")
    content = text({})
    assert old in content
    (tmp_path / "x.xsd").write_bytes(kind.schema(COLUMNS, kind.Options()))
    (tmp_path / "x.xml").write_bytes(content.replace(old, new, 1))
    command = [xmllint, "--noout", "--schema", tmp_path / "x.xsd", tmp_path / "x.xml"]
    assert subprocess.run(command, check=False, capture_output=True).returncode != 0


def test_names_are_safe_and_differ():
    assert kind.names(ODD_COLUMNS) == [
        "Journal_No.",
        "_Date",
        "_1st",
        "_xml_a",
        "a_b",
        "a-b",
        "a_b_2",
        "é___",
        "_",
    ]


@given(st.lists(st.text(max_size=5), max_size=5))
@examples(200)
def test_any_column_has_a_name_that_parsers_take(texts):
    columns = [Column(name, FieldType.INTEGER) for name in texts]
    for fields in ("elements", "attributes"):
        written = "".join(f"<{name}/>" for name in kind.names(columns))
        if fields == "attributes":
            written = f"<r {' '.join(name + chr(61) + chr(34) * 2 for name in kind.names(columns))}/>"
        ET.fromstring(f"<x>{written}</x>")


OPTIONS = st.builds(
    dict,
    fields=st.sampled_from(["elements", "attributes"]),
    root=st.sampled_from(["rows", "été", "a.b-c_d"]),
    points=st.sampled_from(["fixed", "plain"]),
    timezone=st.sampled_from(["UTC", "Asia/Tokyo"]),
)


@given(RANDOM_ROWS, OPTIONS)
@examples(150)
@pytest.mark.slow
def test_another_parser_reads_the_same(rows, options):
    rows = held("xml", rows)
    content = text(options, rows)
    ours = list(kind.read(io.BytesIO(content), COLUMNS, kind.Options(**options)))
    found = ET.fromstring(content)
    assert len(found) == len(rows) == len(ours)
    for element, our, row in zip(found, ours, rows, strict=True):
        values = dict(element.attrib) or {field.tag: field.text or "" for field in element}
        assert [values.get(column.name) for column in COLUMNS] == our
        assert (our[0], our[1], our[9]) == (row[0], row[1], row[9])


@given(TEXTS)
@examples(100)
def test_replaced_characters_leave_the_others(value):
    columns = [Column("a", FieldType.TEXT), Column("b", FieldType.TEXT)]
    options = kind.Options(control="replace")
    content = text({"control": "replace"}, [(value, value)], columns)
    (read,) = kind.read(io.BytesIO(content), columns, options)
    ((kept, _),) = held("xml", [(value, value)], columns)
    assert read == [kept.replace("?", "\ufffd") if "?" not in value else read[0]] * 2
    assert len(read[0]) == len(value)


@pytest.mark.parametrize("bad", ["\x00", "\x1b", "\x0b", "\ufffe", "\uffff"])
def test_a_control_character_is_named(bad):
    columns = [Column("a", FieldType.ID), Column("b", FieldType.TEXT)]
    with pytest.raises(BadInput, match="row 9001, column b") as caught:
        text({}, [("x", "fine \ufffd \uffee _x0041_")] * 9000 + [("x", f"a{bad}b")], columns)
    assert caught.value.problems[0].code == "not_in_xml"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b"<rows>", b"<!DOCTYPE rows [<!ENTITY a 'b'>]><rows>", "document type"),
        (b"<rows>", b"<lines>", "instead of rows"),
        (b"<id>t1</id>", b"<id>t1</id><no>1</no>", "row 1 has the field no"),
        (b"<id>t2</id>", b"<id><b/></id>", "row 2: an element inside"),
        (b"<row><id>t2", b"<row>x<id>t2", "row 2: text outside"),
        (b"</rows>", b"", "not XML"),
        (b"t1</id>", b"t1</ID>", "not XML"),
    ],
)
def test_reading_refuses_other_documents(old, new, words):
    with pytest.raises(ValueError, match=words):
        list(kind.read(io.BytesIO(text({}).replace(old, new, 1)), COLUMNS, kind.Options()))


@pytest.mark.parametrize(
    "options", [{"root": "1a"}, {"root": "a b"}, {"row": "xmlrow"}, {"row": ""}, {"root": "a><b"}]
)
def test_names_of_elements_are_checked(options):
    with pytest.raises(ValueError, match="a name of letters"):
        kind.Options(**options)
