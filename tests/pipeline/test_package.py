"""Every task, command and stage imports `include.pipeline`: what takes long to import comes with who needs it."""

from __future__ import annotations

import subprocess
import sys

from include.settings import ROOT

HEAVY = ("numba", "pandas")


def test_its_import_brings_neither_a_compiler_nor_data_frames() -> None:
    asked = f"import sys, include.pipeline; print(*sorted(set({HEAVY}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout.split() == []
