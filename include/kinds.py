"""One thing to add is one file: a package of kinds (reports, formats, targets) lists and loads its modules.

The file's name is the kind's name, which is what a definition says; there is no registry to edit. A module is
a kind when it declares `KIND`; the others of the package serve them.
"""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path
from types import ModuleType

from include.errors import BadInput, Problem


def names(package: ModuleType) -> tuple[str, ...]:
    """Return the kinds of a package, sorted, without importing them (they may be heavy)."""
    folder = Path(package.__path__[0])
    return _names(folder, folder.stat().st_mtime_ns)


@cache
def _names(folder: Path, _changed_at: int) -> tuple[str, ...]:
    files = folder.glob("*.py")
    return tuple(sorted(file.stem for file in files if "\nKIND = " in file.read_text("utf-8")))


def load(package: ModuleType, name: str, *, where: str) -> ModuleType:
    """Return the module of kind `name`; raise BadInput that lists the known kinds when there is none."""
    known = names(package)
    if name not in known:
        word = package.__name__.rsplit(".", 1)[-1].removesuffix("s")
        raise BadInput(
            [Problem(where, name, f"known {word} kinds are {', '.join(known)}", f"unknown_{word}")]
        )
    return importlib.import_module(f"{package.__name__}.{name}")
