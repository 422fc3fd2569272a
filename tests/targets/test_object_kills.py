"""kill -9 of a delivery to s3, gcs and azure_blob, at seeded points from its first request to its last reply."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta

import pytest

from include.targets.protocol import Outcome, no_progress
from tests.servers import corners
from tests.targets.kills import EVERY, KILLS
from tests.targets.test_folder import parcel_of

pytestmark = [pytest.mark.servers, pytest.mark.slow]
BIG = os.urandom(1 << 20) * 11
NAMES = ["x.csv", "x.csv.manifest.json"]


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source"
    path.mkdir()
    (path / "x.csv").write_bytes(BIG)
    (path / "x.csv.manifest.json").write_bytes(b"{}")
    return path


@pytest.fixture(scope="module")
def nursery() -> Iterator[subprocess.Popen[str]]:
    """A process from which deliveries are forked."""
    command = [sys.executable, "-m", "tests.targets.killed_upload"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.stdin.close()


def points_passed(nursery, corner, source, point: int, streamed: int) -> int | None:
    """Deliver, and be killed at a point: None; else how many points there are."""
    task = {**corner.task(), "source": str(source), "point": point, "streamed": streamed}
    nursery.stdin.write(json.dumps(task) + "\n")
    nursery.stdin.flush()
    return json.loads(nursery.stdout.readline())


def check_after_kill(corner) -> list[str]:
    """Every final name is absent or whole, and the manifest is never there without its file."""
    names = corner.names()
    assert names in ([], NAMES[:1], NAMES)
    whole = dict(zip(NAMES, [BIG, b"{}"], strict=True))
    assert all(corner.read(name) == whole[name] for name in names)
    return names


@pytest.mark.parametrize(("kind", "streamed"), [*((kind, 0) for kind in corners.KINDS), ("s3", 1 << 30)])
def test_a_kill_at_any_point_shows_nothing_partial_and_the_next_attempt_makes_one_of_each(
    nursery, kind, streamed, source
):
    points = points_passed(nursery, corners.corner(kind), source, 1_000_000, streamed)
    # The pieces of bodies are many and alike: some of them, and all of the first and last points.
    middle = random.Random(20260401).sample(range(4, points - 12), KILLS // 10)
    step = 1 if EVERY else 2
    seen = set()
    for point in [*range(0, 4, step), *sorted(middle), *range(points - 11, points, step)]:
        corner = corners.corner(kind)
        assert points_passed(nursery, corner, source, point, streamed) is None
        seen.add(len(check_after_kill(corner)))
        parcel = parcel_of(source)
        receipt = corner.module.deliver(corner.options(), parcel, corner.secrets(), no_progress)
        assert {file.outcome for file in receipt.files} <= {Outcome.CREATED, Outcome.ALREADY_THERE}
        assert check_after_kill(corner) == NAMES
        corner.module.clean(corner.options(), corner.secrets(), timedelta(seconds=-5))
        assert corner.module.clean(corner.options(), corner.secrets(), timedelta(seconds=-5)) == []
        assert check_after_kill(corner) == NAMES
    # The kills fell before, between and after the two names.
    assert seen == {0, 1, 2}
