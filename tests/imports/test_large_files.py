"""A large file is streamed: memory does not follow its size but for the look for rows that stand twice."""

import os
import subprocess
import sys

import pytest

from include.pipeline.process import MEMORY

pytestmark = pytest.mark.slow
ROWS = 3_000_000


def peak(rows, *more):
    """Peak MiB and processor seconds of reading, in a process of its own, as stages run."""
    command = [sys.executable, "-m", "tests.imports.peak", str(rows), *more]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | MEMORY)
    mib, seconds = done.stdout.split()
    return int(mib), float(seconds)


def test_memory_and_speed():
    """21 bytes a row at most for the look (repeats.py): 10 million rows take 210 MB of the 512 MiB."""
    peak(1000)  # compiled code is made once
    small, _ = peak(200_000, "keep")
    large, _ = peak(ROWS, "keep")
    assert large - small < 40
    looked, seconds = peak(ROWS)
    assert looked - large < ROWS * 21 / 2**20 + 40
    assert looked < 400
    assert ROWS / seconds > 100_000
