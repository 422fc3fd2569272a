"""Stages in the process of the tests: a fresh one takes seconds to import, and tests/pipeline/test_process.py tests that."""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def in_this_process() -> Iterator[None]:
    """Run stages here; what they are given and what they return travels by pickle all the same."""

    def here(stage: str, *arguments: Any, progress: Any) -> Any:
        module, name = stage.split(":")
        work = getattr(importlib.import_module(module), name)
        return pickle.loads(pickle.dumps(work(*pickle.loads(pickle.dumps(arguments)), progress=progress)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("include.pipeline.process.in_process", here)
        yield
