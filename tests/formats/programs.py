"""Programs of other people that open our files; scripts/programs.sh installs them."""

from __future__ import annotations

import os
import shutil

import pytest


def program(name: str) -> str:
    """The program's path; a test that needs it is skipped without it, but fails where all must be there."""
    path = shutil.which(name)
    if path is None and os.environ.get("CI"):
        pytest.fail(f"{name} is not installed")
    return path or pytest.skip(f"{name} is not installed")
