"""kill -9 at every point of a delivery and at random moments, over all targets, each followed by the next attempt.

    python -m tests.benchmarks.kills --kills 2000 --seed 7 [--minutes 20] [--targets folder sftp s3 ...]

Each attempt is a process of its own that does what an Airflow task does (`include.pipeline.deliver`: state database,
claim, lease, target). First every point of it is the end of one (each write of the delivery's row, each call that a
server or the disk sees), then points and moments by chance; a quarter of the next attempts is killed too. After each
kill the target is looked at without our code, and again when the delivery is done. Exits with 1 when a name showed a
part of a file, a file came twice (e-mail that is told to resend may) or not at all, or the record says otherwise.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from include.pipeline import Context
from tests.benchmarks.killing import ours
from tests.benchmarks.killing.nursery import Nursery
from tests.benchmarks.killing.places import PLACES, opened
from tests.benchmarks.killing.waves import Count, Field

# How the kills are shared out: whose servers do most, gets most.
WEIGHTS = {"sftp": 3, "folder": 2, "s3": 2}
HEAD = (
    f"{'target':32} {'kills':>5} {'points':>6}  {'seen after a kill':24} {'held':>4} "
    f"{'partial':>7} {'early':>5} {'twice':>5} {'lost':>4} {'wrong':>5} {'left':>4}  {'s':>4}"
)


def row(name: str, count: Count, seconds: float) -> str:
    """One target's line of the table."""
    seen = f"{count.seen['nothing']} none {count.seen['some']} some {count.seen['all']} all"
    return (
        f"{name:32} {count.kills:5} {len(count.points):6}  {seen:24} {count.held:4} "
        f"{count.partial:7} {count.early:5} {count.doubled:5} {count.lost:4} {count.wrong:5} {count.left:4}  {seconds:4.0f}"
    )


def sound(name: str, count: Count) -> bool:
    """Whether the place kept what is promised."""
    doubled = 0 if name == "email-resend" else count.doubled
    return not (count.partial or count.early or doubled or count.lost or count.wrong or count.left)


def run(name: str, kills: int, seed: int, until: float, *, verbose: bool) -> bool:
    """Kill so many deliveries to one place, or until the time is over; print its line."""
    began = time.monotonic()
    # What a killed process has written is there without any fsync, so memory serves as a disk.
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with (
        tempfile.TemporaryDirectory(dir=memory) as folder,
        opened(name) as place,
        Nursery(ours.__name__) as nursery,
    ):
        home = Path(folder)
        (home / "store").mkdir()
        field = Field(place, home, Context(ours.settings(home)), nursery, seed)
        field.calibrate()
        while field.count.kills < kills and time.monotonic() < until:
            field.wave()
    print(row(place.name, field.count, time.monotonic() - began), flush=True)
    for told in field.count.told[: None if verbose else 5]:
        print("   ", told[:300], flush=True)
    if verbose:
        print(
            "   ", ", ".join(f"{label} {count}" for label, count in field.count.at.most_common()), flush=True
        )
    return sound(name, field.count)


def main() -> None:
    """Run all, and say what was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--targets", nargs="+", choices=PLACES, default=list(PLACES))
    parser.add_argument("--verbose", action="store_true")
    chosen = parser.parse_args()
    end = time.monotonic() + chosen.minutes * 60
    weights = {name: WEIGHTS.get(name, 1) for name in chosen.targets}
    print(HEAD, flush=True)
    good = True
    for index, (name, weight) in enumerate(weights.items()):
        left = sum(list(weights.values())[index:])
        share = (end - time.monotonic()) * weight / left
        kills = -(-chosen.kills * weight // sum(weights.values()))
        good &= run(name, kills, chosen.seed, time.monotonic() + share, verbose=chosen.verbose)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
