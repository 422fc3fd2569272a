"""YAML surprises, bombs and tags: each has a named error, or means what it looks like."""

from __future__ import annotations

import pytest

from include.definitions.document import MAX_BYTES, parse_yaml, read_yaml
from include.errors import BadInput


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: no", {"a": "no"}),
        ("a: on", {"a": "on"}),
        ("on: 1", {"on": 1}),
        ("a: 08", {"a": "08"}),
        ("a: 0o10", {"a": "0o10"}),
        ("a: 10:00", {"a": "10:00"}),
        ("a: 1_000", {"a": "1_000"}),
        ("a: 2026-01-31", {"a": "2026-01-31"}),
        ("a: 1e3", {"a": "1e3"}),
        ("a: .inf", {"a": ".inf"}),
        ("a: =", {"a": "="}),
        ("a: '5'", {"a": "5"}),
        ("a: 5", {"a": 5}),
        ("a: -5", {"a": -5}),
        ("a: 0.5", {"a": 0.5}),
        ("a: 12345678901234567890", {"a": "12345678901234567890"}),
        ("a: true\nb: false\nc: null\nd: ~\ne:", {"a": True, "b": False, "c": None, "d": None, "e": None}),
        ("a: yes", {"a": "yes"}),
        ("<<: {a: 1}", {"<<": {"a": 1}}),
        ("1: x", {"1": "x"}),
        ("- a\n- [b, {c: d}]", ["a", ["b", {"c": "d"}]]),
        ("a: |\n  two\n  lines\n", {"a": "two\nlines\n"}),
        ("", None),
        ("# only a comment", None),
    ],
)
def test_what_is_written_is_what_is_read(text, value):
    found = parse_yaml(text, where="x.yaml")
    assert found == value
    assert repr(found) == repr(value), "also its type"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &x 1\nb: *x", "x.yaml: line 1: '&x': anchors are not allowed; write the value out"),
        ("b: *x", "x.yaml: line 1: '*x': aliases are not allowed; write the value out"),
        ("a: &a [x, x]\nb: &b [*a, *a, *a]\nc: [*b, *b, *b]", "x.yaml: line 1: '&a': anchors are not allowed; write the value out"),
        ("a: !!python/object/apply:os.system [id]",
         "x.yaml: line 1: 'tag:yaml.org,2002:python/object/apply:os.system': tags are not allowed; write a plain value"),
        ("!!str a: 1", "x.yaml: line 1: 'tag:yaml.org,2002:str': tags are not allowed; write a plain value"),
        ("a: 1\nb: 2\na: 3", "x.yaml: line 3: 'a': the key is here twice; keep one"),
        ("a: 1\n---\nb: 2", "x.yaml: line 2: '---': must be one document"),
        ("? [a]\n: 1", "x.yaml: line 1: 'a list or mapping': a key must be a text"),
        ("a: " + "[" * 40 + "]" * 40, "x.yaml: line 1: '31 levels': must be at most 30 levels deep"),
    ],
)  # fmt: skip
def test_refused(text, message):
    with pytest.raises(BadInput) as caught:
        parse_yaml(text, where="x.yaml")
    assert str(caught.value) == message


@pytest.mark.parametrize("text", ["a: [1", "a: b: c", "\ta: 1", "a: 'x", "a: \x00", "@a: 1"])
def test_what_is_not_yaml(text):
    with pytest.raises(BadInput) as caught:
        parse_yaml(text, where="x.yaml")
    assert [problem.code for problem in caught.value.problems] == ["not_yaml"]
    assert str(caught.value).startswith("x.yaml")
    assert "is not YAML" in str(caught.value)


def test_deep_nesting_does_not_exhaust_the_stack():
    with pytest.raises(BadInput):
        parse_yaml("[" * 100_000, where="x.yaml")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a: \xff", "x.yaml: 'byte 3': must be UTF-8 text"),
        (b"a" * (MAX_BYTES + 1), f"x.yaml: '{MAX_BYTES + 1} bytes': must be at most {MAX_BYTES} bytes"),
    ],
)
def test_bytes_that_are_no_text(tmp_path, data, message):
    path = tmp_path / "x.yaml"
    path.write_bytes(data)
    with pytest.raises(BadInput) as caught:
        read_yaml(path)
    assert str(caught.value) == message


def test_a_byte_order_mark_is_no_text(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1")
    assert read_yaml(path) == {"a": 1}


def test_no_such_file(tmp_path):
    with pytest.raises(BadInput) as caught:
        read_yaml(tmp_path / "x.yaml")
    assert str(caught.value) == f"x.yaml: '{tmp_path}/x.yaml': No such file or directory"
