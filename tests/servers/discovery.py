"""Google's discovery documents: is a request one that the interface knows, down to each field?

Strict where Google is forgiving: a field or parameter that nobody has published is wrong, and so is a read-only one.
"""

from __future__ import annotations

import json
import math
import re
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import unquote

# What a mask within a request is about.
MASKS = {
    "UpdateCellsRequest": "CellData",
    "AppendCellsRequest": "CellData",
    "RepeatCellRequest": "CellData",
    "UpdateSheetPropertiesRequest": "SheetProperties",
    "UpdateDimensionPropertiesRequest": "DimensionProperties",
}
# Marked read-only, though Google's own guide to sharing sends it.
WRITABLE = (("Permission", "emailAddress"),)
_INT32 = range(-(1 << 31), 1 << 31)


class Wrong(Exception):
    """The request is none of this interface."""


@cache
def api(name: str) -> Api:
    """The interface by its document: `sheets.v4`, `drive.v3`."""
    folder = files("googleapiclient.discovery_cache") / "documents"
    document = json.loads((folder / f"{name}.json").read_text("utf-8"))
    for schema, field in WRITABLE:
        document["schemas"].get(schema, {}).get("properties", {}).get(field, {}).pop("readOnly", None)
    return Api(document)


class Api:
    """One interface."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.schemas = document["schemas"]
        self._common = document["parameters"]
        self._prefix = document["servicePath"]
        self._methods = list(self._all(document))

    def _all(self, node: dict[str, Any]):
        yield from node.get("methods", {}).values()
        for each in node.get("resources", {}).values():
            yield from self._all(each)

    def method(self, verb: str, path: str) -> tuple[dict[str, Any], dict[str, str]]:
        """The method that a path asks for, and what its path says."""
        for method in sorted(self._methods, key=lambda each: each["path"].count("{")):
            pattern = re.sub(r"\{\+?(\w+)\}", r"(?P<\1>[^/]+?)", (self._prefix + method["path"]).lstrip("/"))
            found = re.fullmatch(pattern, path.lstrip("/"))
            if found and method["httpMethod"] == verb:
                return method, {name: unquote(value) for name, value in found.groupdict().items()}
        raise Wrong(f"no method is {verb} {path}")

    def check(self, method: dict[str, Any], query: dict[str, list[str]], body: Any) -> None:
        """Raise Wrong for a parameter or a field that is not published, or not of its type."""
        known = {**self._common, **method.get("parameters", {})}
        for name, values in query.items():
            if name not in known or known[name].get("location") == "path":
                raise Wrong(f"{method['id']} has no parameter {name}")
            about = known[name]
            if len(values) > 1 and not about.get("repeated"):
                raise Wrong(f"{name} is given {len(values)} times")
            if "enum" in about and set(values) - set(about["enum"]):
                raise Wrong(f"{name} may not be {values}")
            if about["type"] == "boolean" and {each.lower() for each in values} - {"true", "false"}:
                raise Wrong(f"{name} must be true or false")
        if "request" in method:
            self.value({"$ref": method["request"]["$ref"]}, body if body is not None else {}, "body")
        elif body is not None:
            raise Wrong(f"{method['id']} has no body")

    def value(self, schema: dict[str, Any], value: Any, where: str, *, answer: bool = False) -> None:
        """Raise Wrong where a value is not of its schema. answer: it comes from the server."""
        if name := schema.get("$ref"):
            self._object(self.schemas[name], value, where, answer=answer)
            if name in MASKS and not answer:
                self.mask({"$ref": MASKS[name]}, value.get("fields", ""))
            return
        kind = schema.get("type")
        if kind == "object":
            self._object(schema, value, where, answer=answer)
        elif kind == "array":
            if not isinstance(value, list):
                raise Wrong(f"{where} must be an array")
            for index, each in enumerate(value):
                self.value(schema["items"], each, f"{where}[{index}]", answer=answer)
        elif kind == "any":
            if isinstance(value, float) and not math.isfinite(value):
                raise Wrong(f"{where}: JSON has no {value}")
        elif not _is(kind, schema, value):
            raise Wrong(f"{where}: {value!r:.60} is no {schema.get('format', kind)}")
        if "enum" in schema and value not in schema["enum"]:
            raise Wrong(f"{where}: {value!r} is none of {schema['enum']}")

    def _object(self, schema: dict[str, Any], value: Any, where: str, *, answer: bool) -> None:
        if not isinstance(value, dict):
            raise Wrong(f"{where} must be an object")
        known, more = schema.get("properties", {}), schema.get("additionalProperties")
        for name, each in value.items():
            inner = known.get(name, more)
            if inner is None:
                raise Wrong(f"{where} has no field {name}")
            if inner.get("readOnly") and not answer:
                raise Wrong(f"{where}.{name} is read-only")
            self.value(inner, each, f"{where}.{name}", answer=answer)

    def mask(self, schema: dict[str, Any], text: str) -> dict[str, Any]:
        """A mask as a tree; Wrong when it names a field that is not there, or none."""
        tree = _parsed(text)
        if not tree:
            raise Wrong("a mask must name a field")
        self._masked(schema, tree)
        return tree

    def _masked(self, schema: dict[str, Any], tree: dict[str, Any]) -> None:
        while schema.get("type") == "array":
            schema = schema["items"]
        if "$ref" in schema:
            schema = self.schemas[schema["$ref"]]
        for name, inner in tree.items():
            if name != "*":
                if name not in schema.get("properties", {}):
                    raise Wrong(f"the mask names {name}, which is not there")
                self._masked(schema["properties"][name], inner)


def cut(value: Any, tree: dict[str, Any]) -> Any:
    """What of an answer the mask lets through."""
    if isinstance(value, list):
        return [cut(each, tree) for each in value]
    if not tree or not isinstance(value, dict) or "*" in tree:
        return value
    return {name: cut(each, tree[name]) for name, each in value.items() if name in tree}


def _is(kind: str | None, schema: dict[str, Any], value: Any) -> bool:
    if kind == "string":
        return isinstance(value, str)
    if kind == "boolean":
        return isinstance(value, bool)
    if isinstance(value, bool):
        return False
    if kind == "integer":
        return isinstance(value, int) and (schema.get("format") != "int32" or value in _INT32)
    return kind == "number" and isinstance(value, int | float) and math.isfinite(value)


def _parsed(text: str) -> dict[str, Any]:
    """Masks are a,b/c,d(e,f.g)."""
    tree: dict[str, Any] = {}
    stack, place = [tree], tree
    for token in re.findall(r"[\w*]+|[(),./]", text):
        if token == "(":
            stack.append(place)
        elif token == ")":
            place = stack.pop()
        elif token == ",":
            place = stack[-1]
        elif token not in "./":
            place = place.setdefault(token, {})
    return tree
