"""One thing to add is one file: a package of kinds (reports, formats, targets) lists and loads its modules.

The file's name is the kind's name, which is what a definition says; there is no registry to edit.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from include.errors import BadInput, Problem


def names(package: ModuleType) -> tuple[str, ...]:
    """Return the kinds of a package, sorted: its public modules that declare `KIND`."""
    found = []
    for module in pkgutil.iter_modules(package.__path__):
        if module.name.startswith("_"):
            continue
        spec = importlib.util.find_spec(f"{package.__name__}.{module.name}")
        if spec and spec.origin and "\nKIND = " in "\n" + open(spec.origin, encoding="utf-8").read():  # noqa: SIM115, PTH123
            found.append(module.name)
    return tuple(sorted(found))


def load(package: ModuleType, name: str, *, where: str) -> ModuleType:
    """Return the module of kind `name`; raise BadInput that lists the known kinds when there is none."""
    known = names(package)
    if name not in known:
        word = package.__name__.rsplit(".", 1)[-1].removesuffix("s")
        raise BadInput([Problem(where, name, f"known {word} kinds are {', '.join(known)}", f"unknown_{word}")])
    return importlib.import_module(f"{package.__name__}.{name}")
