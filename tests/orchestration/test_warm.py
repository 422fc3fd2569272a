"""What is compiled at installation: everything, so that nobody's first run waits for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from include.settings import ROOT


@pytest.mark.slow
def test_every_kernel_is_compiled() -> None:
    command = [sys.executable, "-m", "tests.orchestration.warmed"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    count, *missing = done.stdout.split()
    assert int(count) > 20
    assert missing == []
