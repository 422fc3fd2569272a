"""Plain values as YAML that `document.parse_yaml` reads back as the same values.

Only numbers of more than 18 characters come back as texts: YAML as definitions are read has no such numbers.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import yaml

from include.definitions.document import parse_yaml
from include.errors import BadInput

_LINE = 110
# What says what a definition is; people look for it at the top.
_FIRST = ("id", "name", "description", "owner", "model", "exports", "options")


class _Writer(yaml.SafeDumper):
    """Writes a text in quotes wherever it would be read as something else."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        """Write a value out each time: anchors are refused."""
        return True


def as_yaml(document: Any) -> str:
    """Return the text of a document of JSON values, keys in their order, but those first that say what it is."""
    if isinstance(document, dict):
        document = {key: document[key] for key in _FIRST if key in document} | document
    text: str = yaml.dump(document, Dumper=_Writer, sort_keys=False, allow_unicode=True, width=_LINE)
    return text


def _text(writer: _Writer, value: str) -> yaml.Node:
    # YAML takes more characters for the end of a line than are written as one.
    odd = any(not sign.isprintable() for sign in value.replace("\n", ""))
    style = '"' if odd else "|" if "\n" in value and _is_block(value) else None if _is_plain(value) else '"'
    return writer.represent_scalar("tag:yaml.org,2002:str", value, style)


def _number(writer: _Writer, value: float) -> yaml.Node:
    digits = format(Decimal(repr(value)), "f")
    return writer.represent_scalar("tag:yaml.org,2002:float", digits if "." in digits else f"{digits}.0")


def _is_plain(value: str) -> bool:
    """Say whether the writer may choose: what it would write plainly is read as this text."""
    try:
        return "\n" in value or isinstance(parse_yaml(value, where=""), str) or not value.strip()
    except BadInput:  # it is quoted by the writer itself
        return True


def _is_block(value: str) -> bool:
    return all(line.isprintable() and line == line.rstrip() for line in value.split("\n"))


_Writer.add_representer(str, _text)
_Writer.add_representer(float, _number)
