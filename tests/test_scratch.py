"""Rule: what a dead process left in scratch goes when the next one starts; what a living one holds stays."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from include.scratch import sweep, working_folder
from include.settings import ROOT

HOLD = """
import sys
from pathlib import Path
from include.scratch import working_folder
with working_folder(Path(sys.argv[1]), "render-x") as folder:
    (folder / "rows.csv").write_text("in clear")
    print(folder, flush=True)
    sys.stdin.read()
"""


def test_a_folder_is_for_its_owner_alone_and_goes_with_the_work(tmp_path):
    with working_folder(tmp_path / "deep" / "scratch", "render-x") as folder:
        assert folder.name.startswith("render-x-")
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "sub").mkdir()
    assert list((tmp_path / "deep" / "scratch").iterdir()) == []


def test_a_failure_leaves_nothing(tmp_path):
    def fail() -> None:
        with working_folder(tmp_path, "x") as folder:
            (folder / "rows.csv").write_text("in clear")
            raise ValueError("rows")

    with pytest.raises(ValueError, match="rows"):
        fail()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_next_start_removes_what_a_killed_process_left_and_nothing_else(tmp_path):
    (tmp_path / "somebody-elses").mkdir()
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}
    ) as holder:  # fmt: skip
        assert holder.stdout is not None
        held = Path(holder.stdout.readline().strip())
        with working_folder(tmp_path, "other") as mine:
            assert (held / "rows.csv").exists()  # its owner lives
            assert sweep(tmp_path) == []
            assert mine.is_dir()
        holder.kill()
        holder.wait()
    assert (held / "rows.csv").exists()
    with working_folder(tmp_path, "next"):
        assert not held.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["somebody-elses"]
