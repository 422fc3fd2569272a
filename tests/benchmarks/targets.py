"""Uploading beside the tool that does only that, on loopback: ratios of wall time and of the client's processor time.

    python -m tests.benchmarks.targets --mib 400 --rounds 3

sftp: our delivery, that reads back and hashes, beside OpenSSH's own `sftp` in batch mode, with the cipher that both
prefer and with sftp's default. `read_back` does more than `put` alone, so `put` followed by `get` is there too.
Sides take turns; the middle of the rounds counts. A rate is of the file's bytes, ratio = theirs / ours: 1 is as fast.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from include.connections import Secrets
from include.formats.hashes import file_sha256
from include.targets import sftp
from include.targets.protocol import Parcel, ParcelFile, no_progress
from include.targets.ssh import bringing  # noqa: F401 - imported before the clock starts
from tests.servers.openssh import NAME, Sshd, sshd

CIPHER = "aes128-gcm@openssh.com"


def measured(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of wall time and of processor time, of this process and its children."""
    began, before = time.perf_counter(), os.times()
    work()
    after = os.times()
    return time.perf_counter() - began, sum(after[:4]) - sum(before[:4])


def theirs(server: Sshd, batch: str, *options: str) -> None:
    """Run a batch of OpenSSH's client."""
    known = server.keys / "known_hosts"
    known.write_text(f"[127.0.0.1]:{server.port} {server.host_key}\n")
    command = ["sftp", "-q", "-b", "-", "-P", str(server.port), "-i", server.keys / "client", *options]
    command += ["-o", f"UserKnownHostsFile={known}", "-o", "IdentitiesOnly=yes", f"{server.user}@127.0.0.1"]
    subprocess.run(command, input=batch, text=True, check=True, capture_output=True)


def ours(server: Sshd, parcel: Parcel, verify: str) -> None:
    """Deliver."""
    secrets = Secrets(Path(), {NAME: server.connection()})
    sftp.deliver(sftp.Options(connection=NAME, verify=verify), parcel, secrets, no_progress)


def sides(server: Sshd, parcel: Parcel) -> dict[str, Callable[[], object]]:
    """What is measured, by name."""
    put = f"put {parcel.files[0].path} {parcel.files[0].name}\n"
    get = f"get {parcel.files[0].name} /dev/null\n"
    return {
        "sftp put": lambda: theirs(server, put),
        f"sftp put, {CIPHER}": lambda: theirs(server, put, "-c", CIPHER),
        f"sftp put and get, {CIPHER}": lambda: theirs(server, put + get, "-c", CIPHER),
        "ours, verify: size": lambda: ours(server, parcel, "size"),
        "ours, verify: read_back": lambda: ours(server, parcel, "read_back"),
    }


def run(mib: int, rounds: int) -> None:
    """Print each side's middle times, and the ratios."""
    with sshd() as server, tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "large.bin")
        with file.open("wb") as out:
            for _ in range(mib):
                out.write(os.urandom(1 << 20))
        parcel = Parcel([ParcelFile(file, "large.bin", file_sha256(file), mib << 20, "text/csv")], "bench")
        taken: dict[str, list[tuple[float, float]]] = {}
        for _ in range(rounds):
            for name, side in sides(server, parcel).items():
                taken.setdefault(name, []).append(measured(side))
                (server.folder / "large.bin").unlink()
    wall = {name: statistics.median(each[0] for each in all_) for name, all_ in taken.items()}
    for name, all_ in taken.items():
        cpu = statistics.median(each[1] for each in all_)
        print(f"{name:45} {wall[name]:6.2f} s  {mib / wall[name]:5.0f} MiB/s  client's cpu {cpu:5.2f} s")
    for mine, other in (
        ("ours, verify: size", "sftp put"),
        ("ours, verify: size", f"sftp put, {CIPHER}"),
        ("ours, verify: read_back", "sftp put"),
        ("ours, verify: read_back", f"sftp put and get, {CIPHER}"),
    ):
        print(f"ratio {mine} to {other}: {wall[other] / wall[mine]:.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mib", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    run(arguments.mib, arguments.rounds)
