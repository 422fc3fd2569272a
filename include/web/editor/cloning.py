"""A copy of an export that is nobody else's: an id of its own, and names of files that no other export makes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping
from typing import Any

LONGEST_ID = 64
_LATIN = str.maketrans({"æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d"})


def id_of(name: str, otherwise: str) -> str:
    """Return the id that a name suggests: `Balances, été` is `balances-ete`; `otherwise` where nothing is left of it.

    static/editor.js makes the same while the name is typed.
    """
    apart = unicodedata.normalize("NFKD", name.casefold().translate(_LATIN))
    plain = re.sub("[\u0300-\u036f]", "", apart)
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:LONGEST_ID].strip("-") or otherwise


def free_id(wanted: str, taken: Collection[str]) -> str:
    """Return the id, or the first of `wanted-2`, `wanted-3`, ... that nobody has."""
    found, number = wanted, 2
    while found in taken or found == "new":
        ending = f"-{number}"
        found, number = wanted[: LONGEST_ID - len(ending)].strip("-_") + ending, number + 1
    return found


def apart(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document with the id in the names of its files, so that no other export makes them in its targets."""
    copy = dict(document)
    copy["file"] = _named(copy.get("file", {}))
    if "exports" in copy and copy.get("bundle", "none") == "none":
        copy["exports"] = [
            {**part, "file": _named(part["file"])} if "name" in part.get("file", {}) else part
            for part in copy["exports"]
        ]
    return copy


def _named(file: Mapping[str, Any]) -> dict[str, Any]:
    name = file.get("name", "")
    return {**file, "name": f"{{id}}_{name}"} if name and "{id}" not in name else dict(file)
