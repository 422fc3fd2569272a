"""YAML into plain values, strictly: what an author writes is what the model sees.

Read here are mappings, lists, texts, numbers, true, false and null, as in YAML 1.2: `no`, `on` and `08` are
texts, `10:00` is not a number of seconds, and dates stay texts for the model to read. Refused are anchors and
aliases (and with them bombs), tags, a key twice, a second document, and anything too large or too deep.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from include.errors import BadInput, Problem

MAX_BYTES = 256 * 1024
MAX_DEPTH = 30
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)", re.ASCII)
_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9]*)?\.[0-9]+|[-+]?(0|[1-9][0-9]*)\.", re.ASCII)
_PLAIN = {"true": True, "True": True, "false": False, "False": False, "null": None, "~": None, "": None}


class _Refused(Exception):
    def __init__(self, code: str, value: str, right: str, mark: Any) -> None:
        self.code, self.value, self.right, self.line = code, value, right, mark.line + 1


def read_yaml(path: Path) -> Any:
    """Return the value in a YAML file; BadInput that names file, line, value and what would be right."""
    try:
        data = path.read_bytes()
    except OSError as error:
        right = error.strerror or "cannot be read"
        raise BadInput([Problem(path.name, str(path), right, "unreadable")]) from None
    if len(data) > MAX_BYTES:
        right = f"must be at most {MAX_BYTES} bytes"
        raise BadInput([Problem(path.name, f"{len(data)} bytes", right, "too_large")])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        right = "must be UTF-8 text"
        raise BadInput([Problem(path.name, f"byte {error.start}", right, "not_utf8")]) from None
    return parse_yaml(text, where=path.name)


def parse_yaml(text: str, *, where: str) -> Any:
    """Return the value of one YAML document; BadInput as `read_yaml`."""
    try:
        events = yaml.parse(text, Loader=_LOADER)
        return _document(events)
    except _Refused as refused:
        problem = Problem(f"{where}: line {refused.line}", refused.value, refused.right, refused.code)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = text.splitlines()[mark.line : mark.line + 1] if mark else []
        place = f"{where}: line {mark.line + 1}" if mark else where
        right = f"is not YAML: {error.problem or 'cannot be read'}"
        problem = Problem(place, line[0].strip() if line else "", right, "not_yaml")
    except yaml.YAMLError as error:  # characters that YAML does not allow
        problem = Problem(where, "", f"is not YAML: {error}".replace("\n", " "), "not_yaml")
    raise BadInput([problem])


def _document(events: Iterator[Any]) -> Any:
    value: Any = None
    documents = 0
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise _Refused("two_documents", "---", "must be one document", event.start_mark)
            value = _value(next(events), events, 0)
    return value


def _value(event: Any, events: Iterator[Any], depth: int) -> Any:
    mark = event.start_mark
    if isinstance(event, yaml.AliasEvent):
        raise _Refused("alias", f"*{event.anchor}", "aliases are not allowed; write the value out", mark)
    if event.anchor:
        raise _Refused("anchor", f"&{event.anchor}", "anchors are not allowed; write the value out", mark)
    if event.tag:
        raise _Refused("tag", event.tag, "tags are not allowed; write a plain value", mark)
    if depth > MAX_DEPTH:
        raise _Refused("too_deep", f"{depth} levels", f"must be at most {MAX_DEPTH} levels deep", mark)
    if isinstance(event, yaml.SequenceStartEvent):
        items = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            items.append(_value(event, events, depth + 1))
        return items
    if isinstance(event, yaml.MappingStartEvent):
        return _mapping(events, depth)
    return _scalar(event)


def _mapping(events: Iterator[Any], depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    while not isinstance(event := next(events), yaml.MappingEndEvent):
        if not isinstance(event, yaml.ScalarEvent):
            raise _Refused("bad_key", "a list or mapping", "a key must be a text", event.start_mark)
        if event.anchor or event.tag:
            _value(event, events, depth)
        if event.value in found:
            raise _Refused("key_twice", event.value, "the key is here twice; keep one", event.start_mark)
        found[event.value] = _value(next(events), events, depth + 1)
    return found


def _scalar(event: Any) -> Any:
    text: str = event.value
    if not event.implicit[0]:  # quoted, or a block
        return text
    if text in _PLAIN:
        return _PLAIN[text]
    if len(text) <= 18 and _INTEGER.fullmatch(text):
        return int(text)
    if len(text) <= 18 and _DECIMAL.fullmatch(text):
        return float(text)
    return text
