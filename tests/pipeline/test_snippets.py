"""Every YAML snippet of the documents that is a definition, or a part of one, is right for a model that there is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from include.definitions.document import parse_yaml
from include.definitions.load import from_document
from include.definitions.model import ExportDefinition
from include.errors import BadInput
from include.pipeline.checks import check
from include.reports import models
from include.settings import ROOT

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCED = re.compile(r"^```ya?ml\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHORTENED = re.compile(r"(?<=\w)\.\.\.")  # an id of which the document shows the first letters
OTHERS = {"inboxes", "relations"}  # what is no definition, and has tests of its own
STANDS = {"id": "whole", "name": "Whole", "targets": [{"kind": "folder", "options": {"folder": "x"}}]}
SHEETS = {"kind": "google_sheets", "options": {"connection": "acme_google", "tab": "Balances"}}


def snippets() -> Iterator[Any]:
    for path in DOCUMENTS:
        text = SHORTENED.sub("x" * 20, path.read_text(encoding="utf-8"))
        for found in FENCED.finditer(text):
            place = f"{path.relative_to(ROOT)}:{text[: found.start()].count(chr(10)) + 1}"
            for part in alternatives(found[1]):
                if not OTHERS & set(document := parse_yaml(part, where=place)):
                    yield pytest.param(document, id=place)


def alternatives(text: str) -> list[str]:
    """A snippet in which each line is another way to write one key is as many."""
    lines = text.splitlines()
    return lines if len({line.partition(":")[0] for line in lines}) == 1 else [text]


def completed(part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The definitions of which it may be a part: of every model, with a period and without one."""
    if "create" in part:
        part = {"targets": [{**SHEETS, "options": {**SHEETS["options"], **part}}]}  # type: ignore[dict-item]
    own = [{}] if {"model", "exports"} & set(part) else [{"model": name} for name in models.names()]
    for model in own:
        for period in ({}, {"period": "previous_month"}):
            for schedule in ({}, {"schedule": {"kind": "daily", "time": "06:00"}}):
                yield {**STANDS, **model, **period, **schedule, **part}


@pytest.mark.parametrize("part", snippets())
def test_a_snippet_is_right(part: dict[str, Any]) -> None:
    assert set(part) <= {*ExportDefinition.model_fields, "create"}
    told: list[str] = []
    for document in completed(part):
        try:
            from_document(document, where=str(document.get("model")), check=check)
        except BadInput as error:
            told.append(str(error))
        else:
            return
    pytest.fail(min(told, key=len))


def test_there_are_as_many_examples_as_is_said() -> None:
    count = len(list((ROOT / "include" / "exports").glob("*.yaml")))
    word = {17: "seventeen", 18: "eighteen", 19: "nineteen", 20: "twenty"}[count]
    for path, said in (
        ("README.md", r"(\w+) useful ones"),
        ("docs/reference/definitions.md", r"(\w+) examples to copy"),
    ):
        found = re.search(said, Path(ROOT / path).read_text(encoding="utf-8"))
        assert found is not None
        assert found[1].lower() == word
