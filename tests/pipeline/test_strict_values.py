"""Whole numbers are whole numbers and flags are true or false, in every part of a definition; texts are neither."""

from __future__ import annotations

from typing import Any

import pytest

from include.definitions.load import from_document
from include.errors import BadInput
from include.pipeline.checks import check
from include.web.editor.form import document_of, values_of

RIGHT: dict[str, Any] = {
    "id": "a",
    "name": "A",
    "model": "balance",
    "limit": 3,
    "enabled": True,
    "options": {"programs": ["club"], "include_zero": False},
    "file": {"format": "csv", "options": {"header": False}, "split": {"rows": 10}},
    "targets": [
        {
            "kind": "webhook",
            "options": {"connection": "c", "path": "/x", "success": [200, 202], "ping": False},
        },
        {
            "kind": "sftp",
            "options": {"connection": "c", "folder": "x", "timeout_seconds": 30, "replace": True},
        },
    ],
    "conditions": {
        "alerts": [{"column": "points_balance", "moved_more_than": 10}],
        "only_when_changed": True,
    },
    "fields": ["program_id", "tier", "points_balance"],
}
WHOLE, FLAG = "must be a whole number", "must be true or false"
WRONG = {
    "limit": (WHOLE, [True, "3", 3.0]),
    "enabled": (FLAG, [1, "yes", "true", 0.0]),
    "options.include_zero": (FLAG, [0, "no"]),
    "file.options.header": (FLAG, [1, "yes"]),
    "file.split.rows": (WHOLE, [True, "10", 10.0]),
    "targets.0.options.success.1": (WHOLE, [True, "202"]),
    "targets.0.options.ping": (FLAG, [0, "false"]),
    "targets.1.options.timeout_seconds": (WHOLE, [True, "30", 30.0]),
    "targets.1.options.replace": (FLAG, [1, "yes"]),
    "conditions.only_when_changed": (FLAG, [1, "yes"]),
}


def problems(document: dict[str, Any]) -> list[str]:
    try:
        from_document(document, where="x", check=check)
    except BadInput as error:
        return [problem.right for problem in error.problems]
    return []


def changed(document: Any, path: list[str], value: object) -> Any:
    if not path:
        return value
    if isinstance(document, list):
        return [changed(e, path[1:], value) if n == int(path[0]) else e for n, e in enumerate(document)]
    return {**document, path[0]: changed(document[path[0]], path[1:], value)}


def test_right_types_are_right() -> None:
    assert problems(RIGHT) == []


@pytest.mark.parametrize("path", WRONG)
def test_other_types_are_refused(path: str) -> None:
    right, values = WRONG[path]
    for value in values:
        assert problems(changed(RIGHT, path.split("."), value)) == [right], value


def test_what_a_form_sends_is_of_the_right_types() -> None:
    """A form knows texts only."""
    document, unread = document_of(values_of(RIGHT))
    assert (unread, problems(document | {"fields": RIGHT["fields"]})) == ([], [])
