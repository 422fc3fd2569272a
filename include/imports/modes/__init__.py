"""What an import may do, one file per mode; the file's name is the mode's name."""

from __future__ import annotations

import sys

from include import kinds
from include.imports.modes.mode import ModeFile


def load(name: str, *, where: str = "mode") -> ModeFile:
    """Return the mode of that name; raise BadInput that lists the known ones when there is none."""
    mode: ModeFile = kinds.load(sys.modules[__name__], name, where=where).MODE
    return mode


def modes() -> dict[str, ModeFile]:
    """Return all modes by name."""
    return {name: load(name) for name in kinds.names(sys.modules[__name__])}
