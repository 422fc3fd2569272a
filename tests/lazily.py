"""Packages that take seconds to import: only the tests that use them shall wait."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Lazily:
    """A package that is imported when something of it is first asked for.

    pytest asks all that a module holds whether it is a fixture (`_mock_name`, `__wrapped__`): that imports nothing.
    """

    package: str

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(importlib.import_module(self.package), name)


voucherify: Any = Lazily("voucherify")
schemathesis: Any = Lazily("schemathesis")
