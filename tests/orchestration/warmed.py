"""Compile as at installation, in one process that has compiled nothing before; print the kernels that are left. A helper."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType

from numba.core.registry import CPUDispatcher

from include import formats, imports, ledger, reports, shaping, snapshots
from include.orchestration import warm
from tests.stages import in_this_process


def kernels(package: ModuleType) -> Iterator[CPUDispatcher]:
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        module = importlib.import_module(found.name)
        for each in vars(module).values():
            if isinstance(each, CPUDispatcher) and each.py_func.__module__ == found.name:
                yield each


def called_by(kernel: CPUDispatcher) -> set[CPUDispatcher]:
    """The kernels that one calls: they are compiled with it, and found with it in the cache."""
    function = kernel.py_func
    known = [vars(each) for each in function.__globals__.values() if isinstance(each, ModuleType)]
    named = [
        where.get(name) for where in (function.__globals__, *known) for name in function.__code__.co_names
    ]
    return {each for each in named if isinstance(each, CPUDispatcher) and each is not kernel}


if __name__ == "__main__":
    with in_this_process():
        assert warm.main() == 0
    packages = (formats, imports, ledger, reports, shaping, snapshots)
    every = {each for package in packages for each in kernels(package)}
    inner = set().union(*map(called_by, every))
    missing = [each.py_func for each in every - inner if not each.signatures]
    print(len(every - inner), *(f"{each.__module__}.{each.__name__}" for each in missing))
