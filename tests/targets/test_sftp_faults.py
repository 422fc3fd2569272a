"""The sftp target when things break: kills at every request, cuts at every byte, servers that fall silent.

After each fault every final name is absent or whole; after the next delivery each file is there once and no part
is left. LOYALTY_KILLS=2000 runs that many kills instead of the usual number (about a quarter of a second each).
"""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.connections import Secrets
from include.errors import LoyaltyError, Transient
from include.targets import sftp
from include.targets.protocol import Outcome, Parcel, no_progress
from include.targets.ssh.remote import Remote
from tests.forks import ended, forked
from tests.servers.openssh import NAME, Sshd
from tests.servers.proxy import Fault, Proxy, proxy_to
from tests.targets.kills import EVERY, KILLS
from tests.targets.large_delivery import REKEY_BYTES
from tests.targets.sftp_server import NAMES, server
from tests.targets.test_folder import check_after_kill, parcel_of, source

__all__ = ["server", "source"]  # fixtures
pytestmark = [pytest.mark.servers, pytest.mark.slow]
MEMORY_BYTES = 64 << 20
# More than after which keys are exchanged anew, several times.
LARGE_BYTES = 4 * REKEY_BYTES


@pytest.fixture
def proxy(server) -> Iterator[Proxy]:
    with proxy_to(server.port) as running:
        yield running


def place_of(server: Sshd, name: str) -> Path:
    path = server.folder / name
    path.mkdir()
    return server.open_up(path)


def deliver(
    server: Sshd,
    there: Path,
    parcel: Parcel,
    *,
    seconds: int = 20,
    port: int | None = None,
    progress=no_progress,
):
    """Outcomes of a delivery."""
    options = sftp.Options(connection=NAME, folder=str(there), timeout_seconds=seconds)
    secrets = Secrets(Path(), {NAME: server.connection(port=port)})
    return [file.outcome for file in sftp.deliver(options, parcel, secrets, progress).files]


def check_recovery(server: Sshd, there: Path, source: Path) -> None:
    outcomes = deliver(server, there, parcel_of(source))
    assert set(outcomes) <= {Outcome.CREATED, Outcome.ALREADY_THERE}
    assert check_after_kill(source, there) == set(NAMES)
    assert sorted(path.name for path in there.iterdir()) == NAMES


def stop_at(number: int, *, after: bool, how: int) -> None:
    """Send this process a signal before or after it sends the n-th request."""
    plain, sent = Remote._send_packet, [0]

    def send(remote: Remote, kind: int, packet: object) -> None:
        is_it, sent[0] = sent[0] == number, sent[0] + 1
        if is_it and not after:
            os.kill(os.getpid(), how)
        plain(remote, kind, packet)
        if is_it and after:
            os.kill(os.getpid(), how)

    Remote._send_packet = send


def killed_at(server: Sshd, there: Path, parcel: Parcel, number: int, *, after: bool) -> bool:
    """Whether the delivery was killed at its n-th request; False when it had fewer."""

    def work() -> None:
        stop_at(number, after=after, how=signal.SIGKILL)
        deliver(server, there, parcel)

    how = ended(forked(work))
    assert how in (0, -signal.SIGKILL)
    return how != 0


def requests_of(server: Sshd, there: Path, parcel: Parcel, monkeypatch) -> int:
    """How many requests a delivery makes."""
    plain, sent = Remote._send_packet, []
    with monkeypatch.context() as patch:
        patch.setattr(
            Remote, "_send_packet", lambda self, kind, packet: (sent.append(kind), plain(self, kind, packet))
        )
        deliver(server, there, parcel)
    return len(sent)


@pytest.mark.timeout(1800)
def test_a_kill_at_any_request_shows_nothing_partial_and_the_next_delivery_succeeds(
    server, source, monkeypatch
):
    parcel = parcel_of(source)
    count = requests_of(server, place_of(server, "count"), parcel, monkeypatch)
    points = [(number, after) for number in range(count) for after in (False, True)]
    chosen = random.Random(20261122)
    if not EVERY:
        points = points[:: len(points) // KILLS or 1] + points[-8:]  # what is named is named at the end
    while len(points) < KILLS:
        points.append((chosen.randrange(count), chosen.random() < 0.5))
    seen, kills = set(), 0
    for index, (number, after) in enumerate(points):
        there = place_of(server, f"kill-{index}")
        killed = killed_at(server, there, parcel, number, after=after)
        kills += killed
        if killed and index % 3 == 0:  # the next attempt may be killed too
            kills += killed_at(server, there, parcel, chosen.randrange(count), after=after)
        seen.add(check_after_kill(source, there))
        check_recovery(server, there, source)
    print(f"{kills} kills, {count} requests")
    assert kills >= KILLS * 2 // 3
    # The kills fell before, between and after the two names.
    assert seen == {frozenset(), frozenset({"x.csv"}), frozenset(NAMES)}


def test_a_kill_at_any_time_too(server, source):
    parcel, chosen = parcel_of(source), random.Random(4)
    for index in range(KILLS // 4):
        there = place_of(server, f"time-{index}")
        child = forked(lambda there=there: deliver(server, there, parcel) and None)
        time.sleep(chosen.random() * 0.6)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        check_after_kill(source, there)
        check_recovery(server, there, source)


def test_an_attempt_that_wakes_up_after_another_delivered_changes_nothing(server, source, monkeypatch):
    parcel = parcel_of(source)
    count = requests_of(server, place_of(server, "zombie-count"), parcel, monkeypatch)
    for number in range(3, count, 2 if EVERY else 6):
        there = place_of(server, f"zombie-{number}")

        def work(there: Path = there, number: int = number) -> None:
            stop_at(number, after=number % 4 == 1, how=signal.SIGSTOP)
            deliver(server, there, parcel)

        child = forked(work, failing={LoyaltyError: 3})
        os.waitpid(child, os.WUNTRACED)
        deliver(server, there, parcel)
        before = {path.name: path.stat().st_ino for path in there.iterdir() if path.name in NAMES}
        os.kill(child, signal.SIGCONT)
        assert ended(child) in (0, 3)
        assert {name: (there / name).stat().st_ino for name in NAMES} == before
        check_after_kill(source, there)
        check_recovery(server, there, source)


@pytest.mark.parametrize("way", ["up", "down"])
def test_a_cut_at_any_byte_is_tried_again_and_the_next_delivery_looks_first(server, proxy, source, way):
    parcel, chosen = parcel_of(source), random.Random(7)
    deliver(server, place_of(server, f"whole-{way}"), parcel, port=proxy.port)
    total = proxy.passed[way]
    points = [0, 1, 21, total - 1, total - 40, *(chosen.randrange(total) for _ in range(KILLS // 8))]
    # The requests around the naming are small and come last.
    points += [total - chosen.randrange(4000 if way == "up" else 1500) for _ in range(KILLS // 6)]
    for index, point in enumerate(points):
        there = place_of(server, f"cut-{way}-{index}")
        proxy.fail(Fault.CUT, point, way)
        try:
            deliver(server, there, parcel, port=proxy.port)
        except Transient:
            assert proxy.faults
        proxy.heal()
        check_after_kill(source, there)
        check_recovery(server, there, source)


@pytest.mark.parametrize("way", ["up", "down"])
def test_a_network_that_swallows_everything_ends_in_time(server, proxy, source, way):
    parcel, chosen = parcel_of(source), random.Random(8)
    deliver(server, place_of(server, f"heard-{way}"), parcel, port=proxy.port)
    total = proxy.passed[way]
    for index, point in enumerate([0, 1000, *(chosen.randrange(total) for _ in range(KILLS // 20))]):
        there = place_of(server, f"hole-{way}-{index}")
        proxy.fail(Fault.HOLE, point, way)
        began = time.monotonic()
        with pytest.raises(Transient):
            deliver(server, there, parcel, port=proxy.port, seconds=1)
        assert time.monotonic() - began < 100
        proxy.heal()
        check_after_kill(source, there)
        check_recovery(server, there, source)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_frozen_server_ends_in_time_and_leaves_no_thread(server, source, share):
    there, threads, frozen = place_of(server, f"frozen-{share}"), set(threading.enumerate()), []

    def progress(done: int, total: int) -> None:
        if not frozen and done >= share * total:
            frozen.extend(server.sessions())
            for pid in frozen:
                os.kill(pid, signal.SIGSTOP)

    (source / "x.csv").write_bytes(os.urandom(30 << 20))  # more than all buffers on the way hold
    began = time.monotonic()
    try:
        with pytest.raises(Transient, match=r"no answer|lost"):
            deliver(server, there, parcel_of(source), seconds=1, progress=progress)
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGKILL)
    assert frozen
    assert time.monotonic() - began < 100
    until = time.monotonic() + 60
    while set(threading.enumerate()) - threads and time.monotonic() < until:
        time.sleep(0.05)
    assert set(threading.enumerate()) <= threads  # one of an earlier test may have ended meanwhile
    check_after_kill(source, there)
    check_recovery(server, there, source)


def test_a_session_that_is_killed_is_tried_again(server, source):
    there, killed = place_of(server, "session"), []

    def progress(done: int, total: int) -> None:
        if not killed and done >= total / 2:
            killed.extend(server.sessions())
            server.signal_sessions(signal.SIGKILL)

    with pytest.raises(Transient, match="lost"):
        deliver(server, there, parcel_of(source), progress=progress)
    assert killed
    check_recovery(server, there, source)


def test_a_slow_network_only_takes_longer(server, proxy, source):
    proxy.delay = 0.01
    there = place_of(server, "slow")
    assert deliver(server, there, parcel_of(source), port=proxy.port) == [Outcome.CREATED] * 2
    check_recovery(server, there, source)


def test_many_deliveries_at_once_make_one(server, source):
    """No lease protects them here: still each name is created once, whole, and the others see it."""
    there, outcomes = place_of(server, "many"), []

    def run() -> None:
        for _ in range(50):
            try:
                outcomes.extend(deliver(server, there, parcel_of(source))[:1])
            except LoyaltyError:  # a faster one took our part
                continue
            return

    threads = [threading.Thread(target=run) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 10
    assert outcomes.count(Outcome.CREATED) <= 1
    check_recovery(server, there, source)


def test_memory_is_flat_whatever_the_size(server, tmp_path):
    there, large = place_of(server, "large"), tmp_path / "large.csv"
    with large.open("wb") as out:
        out.truncate(LARGE_BYTES)
    child = [
        sys.executable,
        "-m",
        "tests.targets.large_delivery",
        large,
        there,
        str(server.port),
        server.keys,
    ]
    grown = int(subprocess.run(child, check=True, capture_output=True, text=True).stdout)
    print(f"{grown / 2**20:.1f} MiB above import for {LARGE_BYTES >> 20} MiB")
    assert grown <= MEMORY_BYTES
    assert (there / "large.csv").stat().st_size == LARGE_BYTES
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    (there / "large.csv").unlink()
