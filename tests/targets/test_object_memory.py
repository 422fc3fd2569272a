"""A delivery to an object store costs the same memory whatever the file's size."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.servers import corners

pytestmark = [pytest.mark.servers, pytest.mark.slow]
MOST_MIB = 64


# Google's server of the tests holds in memory, several times, what it is given.
@pytest.mark.parametrize(("kind", "mb"), [("s3", 200), ("azure_blob", 200), ("gcs", 130)])
def test_a_large_file_costs_little_memory(kind, mb, tmp_path):
    path, block = tmp_path / "large.bin", os.urandom(1_000_000)
    with path.open("wb") as file:
        for _ in range(mb):
            file.write(block)
    corner = corners.corner(kind)
    task = json.dumps({**corner.task(), "source": str(path)})
    command = [sys.executable, "-m", "tests.targets.object_peak"]
    found = json.loads(subprocess.run(command, input=task, check=True, capture_output=True, text=True).stdout)
    print(found)
    assert found["peak"] - found["imported"] < MOST_MIB
    corner.delete("large.bin")
