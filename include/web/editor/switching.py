"""What stays of options when another kind is chosen: what somebody typed, and not what only stood there as usual."""

from __future__ import annotations

from collections.abc import Iterator

from include.web.editor import shape
from include.web.editor.shape import Group, Leaf, Options

WAS = "was"
"""The hidden fields that say of which kind the options in the page are: `targets.0.options=targets.sftp`."""
_OF: dict[str, Options] = {
    "targets": Options("targets", "kind"),
    "formats": Options("formats", "format"),
    "encryption": Options("encryption", "kind"),
}


def settled(values: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return the texts without the usual values of kinds that are not chosen any more."""
    stale = {name for said in values.get(WAS, []) for name in _stale(values, said)}
    return {name: texts for name, texts in values.items() if name not in stale}


def _stale(values: dict[str, list[str]], said: str) -> Iterator[str]:
    prefix, _, was = said.partition("=")
    package, _, kind = was.partition(".")
    node = _OF.get(package)
    if node is None:
        return
    now = (values.get(f"{prefix.removesuffix('options')}{node.by}") or [""])[-1]
    group = shape.options(node, kind)
    if now == kind or not isinstance(group, Group):
        return
    for key, leaf in group.fields.items():
        name = f"{prefix}.{key}"
        if isinstance(leaf, Leaf) and (values.get(name) or [""])[-1] == usual(leaf):
            yield name


def usual(leaf: Leaf) -> str:
    """Return the text with which a field stands in the page when nobody has typed in it."""
    if leaf.widget == "flag":
        return "true" if leaf.default is True else "false"
    return leaf.usual
