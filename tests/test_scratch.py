"""Rule: what a dead process left in scratch goes when the next one starts; what a living one holds stays."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from include.errors import NotYet, Permanent, Transient
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


GB = 10**9


def test_work_that_does_not_fit_beside_other_work_waits_for_it(tmp_path):
    """Budget 10 GB. Before: one may need 6. Applied: one of 5. After: it waits; when the first is done, it goes on."""
    with working_folder(tmp_path, "render-a", needs=6 * GB, budget=10 * GB):
        with (
            working_folder(tmp_path, "render-b", needs=4 * GB, budget=10 * GB),
            working_folder(tmp_path, "look"),
        ):
            pass
        with pytest.raises(NotYet, match=r"render-c may need 5\.0 GB in .* under way may need 6\.0 GB"):
            working_folder(tmp_path, "render-c", needs=5 * GB, budget=10 * GB).__enter__()
    with working_folder(tmp_path, "render-c", needs=5 * GB, budget=10 * GB):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_budget_that_is_too_small_is_told(tmp_path):
    with pytest.raises(Permanent, match=r"may need 11\.0 GB .* LOYALTY_SCRATCH_GB allows 10\.0 GB: raise it"):
        working_folder(tmp_path, "render-a", needs=11 * GB, budget=10 * GB).__enter__()


def test_what_the_disk_does_not_have_is_told_and_what_others_wrote_counts_once(tmp_path, monkeypatch):
    """Free: 10 MB. Others may need 8 MB, of which 6 are written: 2 are still to come, and 8 are there for more."""
    free = shutil.disk_usage(tmp_path)._replace(free=10_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free)
    with pytest.raises(Transient, match="the disk has 0\\.0 GB: make room"):
        working_folder(tmp_path, "render-a", needs=11_000_000).__enter__()
    with working_folder(tmp_path, "render-b", needs=8_000_000) as folder:
        (folder / "rows").write_bytes(os.urandom(6_000_000))
        with working_folder(tmp_path, "render-c", needs=7_900_000):
            pass
        with pytest.raises(NotYet):
            working_folder(tmp_path, "render-d", needs=8_200_000).__enter__()


@pytest.mark.slow
def test_work_begins_while_others_remove_folders_of_theirs(tmp_path):
    """Guards against an error where a folder goes between being seen and being looked into."""
    scratch, over = tmp_path / "scratch", threading.Event()

    def at_work(folder):
        while not over.is_set():
            for number in range(30):
                (folder / f"run-{number}" / "export").mkdir(parents=True)
            for number in range(30):
                shutil.rmtree(folder / f"run-{number}")

    with working_folder(scratch, "pass", needs=1000) as folder:
        other = threading.Thread(target=at_work, args=[folder])
        other.start()
        try:
            for _ in range(200):
                with working_folder(scratch, "render", needs=1000):
                    pass
        finally:
            over.set()
            other.join()


@pytest.mark.slow
def test_what_a_killed_process_was_promised_is_free_again(tmp_path):
    command = [
        sys.executable,
        "-c",
        HOLD.replace('"render-x"', f'"render-x", {9 * GB}, {10 * GB}'),
        str(tmp_path),
    ]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}
    ) as holder:  # fmt: skip
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(NotYet):
            working_folder(tmp_path, "next", needs=2 * GB, budget=10 * GB).__enter__()
        holder.kill()
        holder.wait()
    with working_folder(tmp_path, "next", needs=2 * GB, budget=10 * GB):
        pass
