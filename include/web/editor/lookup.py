"""Which field of the form a dotted name is, given what is typed in those that decide (kinds, model, layout)."""

from __future__ import annotations

from collections.abc import Iterator

from include.web.editor import shape
from include.web.editor.form import Values, text_of
from include.web.editor.shape import ByKind, Group, Keyed, Node, Options, Rows


def find(values: Values, name: str) -> Node | None:
    """Return the field, group or list of that name; None where the form has none now."""
    node: Node | None = shape.definition()
    prefix = ""
    for step in name.split("."):
        node = _below(values, prefix, node, step)
        prefix = f"{prefix}.{step}" if prefix else step
        if isinstance(node, Options):
            node = options(values, prefix, node)
        if node is None:
            return None
    return node


def options(values: Values, name: str, node: Options) -> Node:
    """Return the options of the kind that is chosen beside `name`."""
    beside = name.rpartition(".")[0]
    decider = f"{beside}.{node.by}" if beside else node.by
    kind = text_of(values, decider) or ("csv" if node.by == "format" else "")
    return shape.options(node, kind, text_of(values, "layout"))


def nearest(values: Values, name: str) -> str:
    """Return the name itself where the form has it, else the nearest above it that the form has; "" for none."""
    while name and find(values, name) is None:
        name = name.rpartition(".")[0]
    return name


def leaves(values: Values, prefix: str, node: Node) -> Iterator[str]:
    """Yield the names of all fields below a group, without those of lists of rows."""
    if isinstance(node, Group):
        for key, inner in node.fields.items():
            yield from leaves(values, f"{prefix}.{key}" if prefix else key, inner)
    elif not isinstance(node, (Rows, ByKind, Keyed, Options)):
        yield prefix


def _below(values: Values, prefix: str, node: Node | None, step: str) -> Node | None:
    if isinstance(node, Group):
        return node.fields.get(step)
    if isinstance(node, (Rows, Keyed)):
        return node.item if step.isdecimal() else None
    if isinstance(node, ByKind):
        if step == "kind":
            return shape.Leaf("choice", required=True, choices=tuple(node.kinds))
        kind = node.kinds.get(text_of(values, f"{prefix}.kind"))
        return kind.fields.get(step) if kind else None
    return None
