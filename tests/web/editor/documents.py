"""Random documents with the keys and the types of a definition, whether or not anybody would take them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from include import formats, kinds, targets
from include.formats import encryption
from include.reports import models
from include.web.editor import shape
from include.web.editor.shape import ByKind, Group, Keyed, Leaf, Node, Options, Rows

KINDS = {
    "targets": kinds.names(targets),
    "formats": kinds.names(formats),
    "encryption": kinds.names(encryption),
    "models": models.names(),
}
TEXTS = st.one_of(
    st.sampled_from(
        [
            "",
            " ",
            "0",
            "08",
            "-1",
            "true",
            "null",
            "[]",
            "{}",
            "a=b",
            'say "hi"',
            "a\nb",
            "a: b",
            "x",
            "été",
            "\t",
            "=1+1",
        ]
    ),
    st.text(max_size=12),
)
SCALARS = st.one_of(
    TEXTS, st.integers(), st.booleans(), st.none(), st.floats(allow_nan=False, allow_infinity=False)
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """A whole document, of columns or of groups."""
    found = draw(mappings(shape.definition()))
    found.pop(draw(st.sampled_from(["fields", "aggregation"])), None)
    return found


@st.composite
def mappings(draw: st.DrawFn, group: Group, always: frozenset[str] = frozenset()) -> dict[str, Any]:
    """A mapping of some of a group's keys."""
    found: dict[str, Any] = {}
    for key in sorted(group.fields, key=lambda key: isinstance(group.fields[key], Options)):
        node = group.fields[key]
        if key in always or draw(st.integers(0, 2)) == 0:
            if isinstance(node, Options):
                kind = draw(st.sampled_from(KINDS[node.package]))
                found[node.by] = kind
                own = shape.options(node, kind)
                value = draw(mappings(own)) if isinstance(own, Group) else draw(JSON)
            else:
                value = draw(values(node))
            found[key] = value
    return found


def values(node: Node) -> st.SearchStrategy[Any]:
    """Values of one node."""
    if isinstance(node, Leaf):
        return leaves(node) if not node.required or node.widget != "choice" else st.sampled_from(node.choices)
    if isinstance(node, Group):
        kind = frozenset({"kind"}) if node.optional and "kind" in node.fields else frozenset()
        return mappings(node, kind)
    if isinstance(node, ByKind):
        return st.sampled_from(sorted(node.kinds)).flatmap(
            lambda kind: mappings(node.kinds[kind]).map(lambda found: {**found, "kind": kind})
        )
    if isinstance(node, Rows):
        return st.lists(values(node.item), max_size=3)
    assert isinstance(node, Keyed)
    inner = Group({key: each for key, each in node.item.fields.items() if key != "field"})
    return st.dictionaries(TEXTS.filter(bool), mappings(inner, frozenset({"do"})), max_size=3)


def leaves(leaf: Leaf) -> st.SearchStrategy[Any]:
    """Values of one field: what belongs there, its default, and what hardly does."""
    if leaf.choices and leaf.widget == "choice":
        right: st.SearchStrategy[Any] = st.sampled_from(leaf.choices)
    elif leaf.widget == "several":
        right = st.lists(
            st.sampled_from(leaf.choices).map(lambda each: int(each) if each.isdecimal() else each)
        )
    else:
        right = {
            "whole": st.integers(),
            "flag": st.booleans(),
            "lines": st.lists(TEXTS, max_size=4),
            "pairs": st.dictionaries(TEXTS, TEXTS, max_size=3),
            "json": JSON,
            "yaml": JSON,
        }.get(leaf.widget, TEXTS)
    return st.one_of(
        right,
        st.just(None if leaf.default is shape.ABSENT else leaf.default),
        SCALARS if not leaf.choices else TEXTS,
    )
