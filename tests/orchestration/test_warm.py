"""What is compiled at installation: everything, so that nobody's first run waits for it."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

import pytest
from numba.core.registry import CPUDispatcher

import include
from include.orchestration import warm


def kernels() -> Iterator[CPUDispatcher]:
    for found in pkgutil.walk_packages(include.__path__, "include."):
        if found.name.startswith(
            (
                "include.ledger.",
                "include.reports.",
                "include.formats.",
                "include.snapshots.",
                "include.imports.",
                "include.shaping.",
            )
        ):
            module = importlib.import_module(found.name)
            yield from (
                each
                for each in vars(module).values()
                if isinstance(each, CPUDispatcher) and each.py_func.__module__ == found.name
            )


@pytest.mark.slow
def test_every_kernel_is_compiled(capsys: pytest.CaptureFixture[str]) -> None:
    assert warm.main() == 0
    every = list(kernels())
    assert len(every) > 80
    assert [each.py_func.__qualname__ for each in every if not each.signatures] == []
