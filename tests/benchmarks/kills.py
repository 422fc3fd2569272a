"""kill -9 at every point of a delivery and at random moments, over all targets, each followed by the next attempt.

    python -m tests.benchmarks.kills --kills 2000 --seed 7 [--minutes 20] [--state postgres] [--targets folder s3 ...]

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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import sqlalchemy as sa

from include.pipeline import Context
from tests.benchmarks.killing import ours
from tests.benchmarks.killing.nursery import Nursery
from tests.benchmarks.killing.places import PLACES, opened
from tests.benchmarks.killing.waves import Count, Field
from tests.servers.running import postgres_server

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


def in_all(found: dict[str, Count], state: str) -> str:
    """The sum over all targets, e-mail apart: it may come twice where its definition says so."""
    mail = [each for name, each in found.items() if name.startswith("email")]
    rest = [each for name, each in found.items() if not name.startswith("email")]

    def told(counts: list[Count]) -> str:
        sums = {
            word: sum(getattr(each, word) for each in counts)
            for word in ("kills", "partial", "doubled", "lost")
        }
        return "{kills} kills: {partial} partial, {doubled} twice, {lost} lost".format(**sums)

    return f"state in {state}: {told(rest)}; e-mail: {told(mail)}"


def sound(name: str, count: Count) -> bool:
    """Whether the place kept what is promised."""
    doubled = 0 if name == "email-resend" else count.doubled
    return not (count.partial or count.early or doubled or count.lost or count.wrong or count.left)


@contextmanager
def states(kind: str) -> Iterator[Callable[[], str | None]]:
    """Yield what gives an empty state database for each place: its URL, None for a file in SQLite beside the rest."""
    if kind == "sqlite":
        yield lambda: None
        return
    with tempfile.TemporaryDirectory(prefix="loyalty-") as folder, postgres_server(Path(folder, "pg")) as url:
        engine, numbers = sa.create_engine(url, isolation_level="AUTOCOMMIT"), count(1)

        def fresh() -> str:
            name = f"state{next(numbers)}"
            with engine.connect() as connection:
                connection.exec_driver_sql(f"create database {name}")
            return sa.make_url(url).set(database=name).render_as_string(hide_password=False)

        yield fresh
        engine.dispose()


def run(name: str, kills: int, seed: int, until: float, state_url: str | None, *, verbose: bool) -> Count:
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
        field = Field(place, home, Context(ours.settings(home, state_url)), nursery, seed)
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
    return field.count


def main() -> None:
    """Run all, and say what was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--targets", nargs="+", choices=PLACES, default=list(PLACES))
    parser.add_argument("--state", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--verbose", action="store_true")
    chosen = parser.parse_args()
    end = time.monotonic() + chosen.minutes * 60
    weights = {name: WEIGHTS.get(name, 1) for name in chosen.targets}
    print(HEAD, flush=True)
    found = {}
    with states(chosen.state) as fresh:
        for index, (name, weight) in enumerate(weights.items()):
            left = sum(list(weights.values())[index:])
            until = time.monotonic() + (end - time.monotonic()) * weight / left
            kills = -(-chosen.kills * weight // sum(weights.values()))
            found[name] = run(name, kills, chosen.seed, until, fresh(), verbose=chosen.verbose)
    print(in_all(found, chosen.state))
    sys.exit(0 if all(sound(name, each) for name, each in found.items()) else 1)


if __name__ == "__main__":
    main()
