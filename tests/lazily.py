"""Packages that take seconds to import: only the tests that use them shall wait."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Lazily:
    """A package that is imported when something of it is first asked for."""

    package: str

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(self.package), name)


voucherify: Any = Lazily("voucherify")
schemathesis: Any = Lazily("schemathesis")
