"""Arrays of an account too large for memory: they hold what was written, give memory back, and leave nothing."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np
import pytest

from include.reports.engine.room import Room

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="asks Linux what is resident")
MIB = 1 << 20


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[2]) * resource.getpagesize()


def test_pages_are_given_back_and_nothing_is_lost(tmp_path):
    with Room(tmp_path, resident=MIB) as room:
        before = resident()
        numbers = room(8 * MIB, np.int64)
        assert not numbers[:: MIB // 2].any()
        numbers[:] = np.arange(numbers.size)
        until = time.monotonic() + 60
        while resident() > before + 8 * MIB and time.monotonic() < until:
            time.sleep(0.01)
        assert resident() <= before + 8 * MIB  # of 64
        assert all((part == np.arange(part[0], part[0] + part.size)).all() for part in np.split(numbers, 64))
    assert numbers[-1] == 8 * MIB - 1  # arrays outlive the room


def test_files_have_no_name_and_no_array_needs_a_file_for_nothing(tmp_path):
    with Room(tmp_path) as room:
        assert room(0, np.int64).size == 0
        kinds = room(5, np.uint8)
        kinds[2] = 7
        assert kinds.tolist() == [0, 0, 7, 0, 0]
        assert not list(tmp_path.iterdir())


def test_an_array_has_its_room_on_the_disk_before_it_is_written(tmp_path, monkeypatch):
    # A file of holes would be as long, and a full disk would end the process at some later write.
    reserved = []

    def watched(**more):
        file = TemporaryFile(**more)  # noqa: SIM115 - closed by who asked for it
        reserved.append(os.dup(file.fileno()))
        return file

    monkeypatch.setattr("include.reports.engine.room.TemporaryFile", watched)
    with Room(tmp_path) as room:
        room(MIB, np.uint8)
    assert os.fstat(reserved[0]).st_blocks * 512 >= MIB
    os.close(reserved[0])


def test_a_disk_without_room_is_an_error_at_once(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, limits[1]))
    try:
        with Room(tmp_path) as room, pytest.raises(OSError, match="File too large"):
            room(MIB, np.int64)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
