"""Few exports that together show everything: packs first, for they show most."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable

from include.definitions.content import Part
from include.definitions.model import ExportDefinition


def one_of_each(
    definitions: Iterable[ExportDefinition], kind: Callable[[Part], Hashable]
) -> list[ExportDefinition]:
    """Return definitions that have, among their exports, one of each kind that any has."""
    chosen: list[ExportDefinition] = []
    seen: set[Hashable] = set()
    for one in sorted(definitions, key=lambda one: (-len(one.parts), one.id)):
        kinds = {kind(part) for part in one.parts}
        if not kinds <= seen:
            chosen.append(one)
            seen |= kinds
    return chosen
