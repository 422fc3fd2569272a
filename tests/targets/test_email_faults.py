"""The email target when things break: kills at every step, cuts at every byte, servers that are slow or fall silent.

After each fault every mail that the server has is whole. Then, where doubt is held, nobody ever has two mails, and who
may have none is named; where it is sent again, everybody has one at least, and copies share an identity.
LOYALTY_KILLS=2000 runs that many kills instead of the usual number.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import ssl
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from include.errors import LoyaltyError, Transient, Uncertain
from include.targets.mail import session as sessions
from include.targets.protocol import Parcel, Receipt
from tests.forks import ended, forked
from tests.servers.proxy import Fault, Proxy, proxy_to
from tests.servers.smtp import MailServer
from tests.targets.kills import EVERY, KILLS
from tests.targets.mail_server import CONTENT, DATA, MANIFEST, Sender, parcel, server

__all__ = ["parcel", "server"]  # fixtures
pytestmark = [pytest.mark.servers, pytest.mark.slow]
PEOPLE = ["ann@shop.example", "bob@partner.example", "eve@audit.example"]


@pytest.fixture
def proxy(server) -> Iterator[Proxy]:
    with proxy_to(server.port) as running:
        yield running


class Persisted(Sender):
    """A sender whose record survives its process, as the state database does."""

    def __init__(self, server: MailServer, path: Path, port: int | None = None) -> None:
        super().__init__(server, server.connection(port=port))
        self.path = path
        if path.exists():
            self.written = Receipt.model_validate_json(path.read_text())

    def _record(self, receipt: Receipt) -> None:
        self.before_record(receipt)
        beside = self.path.with_suffix(".new")
        beside.write_text(receipt.model_dump_json())
        beside.replace(self.path)
        super()._record(receipt)


def attempt(server: MailServer, path: Path, parcel: Parcel, on_doubt: str, **changes) -> str:
    """How one more attempt ended, by its error's class."""
    port = changes.pop("port", None)
    try:
        Persisted(server, path, port)(parcel, to=PEOPLE, on_doubt=on_doubt, **changes)
    except LoyaltyError as error:
        return type(error).__name__
    return "done"


def stop_at(number: int, *, after: bool) -> list[int]:
    """Kill this process before or after its n-th step: bytes that leave, or a record that is written.

    Returns the count of steps so far.
    """
    done = [0]

    def watched(plain: Callable) -> Callable:
        def step(*arguments):
            is_it, done[0] = done[0] == number, done[0] + 1
            if is_it and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            found = plain(*arguments)
            if is_it and after:
                os.kill(os.getpid(), signal.SIGKILL)
            return found

        return step

    Persisted._record = watched(Persisted._record)
    ssl.SSLSocket.sendall = watched(ssl.SSLSocket.sendall)
    socket.socket.sendall = watched(socket.socket.sendall)
    return done


def steps_of(server: MailServer, path: Path, parcel: Parcel) -> int:
    """How many steps a delivery has."""

    def work() -> int:
        done = stop_at(-1, after=False)
        attempt(server, path, parcel, "hold")
        return done[0]

    return ended(forked(work))


def killed_at(
    server: MailServer, path: Path, parcel: Parcel, on_doubt: str, number: int, *, after: bool
) -> bool:
    """Whether the attempt was killed; False when it had fewer steps."""

    def work() -> None:
        stop_at(number, after=after)
        attempt(server, path, parcel, on_doubt)

    how = ended(forked(work))
    assert how in (0, -signal.SIGKILL)
    return how != 0


def check_mails(server: MailServer, parcel: Parcel) -> Counter[str]:
    """Every mail is whole and of this delivery; returns how many each recipient has."""
    for mail in server.mails:
        assert mail.attached == {DATA: CONTENT, MANIFEST: b"{}"}
    assert len({mail.message["message-id"] for mail in server.mails}) <= 1
    return Counter(mail.recipient for mail in server.mails)


def settled(server: MailServer) -> None:
    """Wait until the server has read what a killed client left in its socket."""
    before = -1
    while before != len(server.mails):
        before = len(server.mails)
        time.sleep(0.03)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("on_doubt", ["hold", "resend"])
def test_a_kill_at_any_step(server, parcel, tmp_path, on_doubt):
    steps, chosen = steps_of(server, tmp_path / "count.json", parcel), random.Random(20261122)
    points = [(number, after) for number in range(steps) for after in (False, True)]
    if not EVERY:
        points = chosen.sample(points, KILLS * 2 // 3)
    while len(points) < KILLS // 2:
        points.append((chosen.randrange(steps), chosen.random() < 0.5))
    kills, doubts, doubled = 0, 0, 0
    for index, (number, after) in enumerate(points):
        server.mails.clear()
        path = tmp_path / f"{index}.json"
        killed = killed_at(server, path, parcel, on_doubt, number, after=after)
        extra = (
            killed
            and index % 3 == 0
            and killed_at(server, path, parcel, on_doubt, chosen.randrange(20), after=after)
        )
        kills += killed + extra
        settled(server)
        check_mails(server, parcel)
        end = attempt(server, path, parcel, on_doubt)
        counts = check_mails(server, parcel)
        if on_doubt == "resend":
            assert end == "done"
            assert set(counts) == set(PEOPLE)
            assert sum(counts.values()) <= len(PEOPLE) + killed + extra
            doubled += sum(counts.values()) - len(PEOPLE)
        else:
            answers = {each.address: each.answer for each in Persisted(server, path).written.recipients}
            named = [who for who in PEOPLE if answers[who] in ("sending", "unknown")]
            doubts += len(named)
            assert end == ("Uncertain" if named else "done")
            assert max(counts.values()) == 1
            assert set(PEOPLE) - set(named) <= set(counts)
            assert len(named) <= killed + extra
    print(
        f"{on_doubt}: {steps} steps, {kills} kills, {doubts} held for a person, {doubled} sent twice, 0 lost, 0 partial"
    )
    assert kills >= len(points)
    assert doubts + doubled > 0  # some kills fell between a message's end and its record


@pytest.mark.parametrize("way", ["up", "down"])
def test_a_cut_at_any_byte(server, proxy, parcel, tmp_path, way):
    chosen = random.Random(7)
    assert attempt(server, tmp_path / "whole.json", parcel, "hold", port=proxy.port) == "done"
    total = proxy.passed[way]
    points = [0, 1, 60, total - 1, total - 30, *(chosen.randrange(total) for _ in range(KILLS // 2))]
    seen = Counter()
    for index, point in enumerate(points):
        server.mails.clear()
        path = tmp_path / f"{index}.json"
        proxy.fail(Fault.CUT, point, way)
        first = attempt(server, path, parcel, "hold", port=proxy.port)
        assert first in ("Transient", "Uncertain", "done")
        proxy.heal()
        settled(server)
        check_mails(server, parcel)
        end = attempt(server, path, parcel, "hold", port=proxy.port)
        counts = check_mails(server, parcel)
        seen[first, end] += 1
        assert max(counts.values()) == 1
        if end == "done":
            assert set(counts) == set(PEOPLE)
        else:
            assert end == "Uncertain"
    print(seen)
    assert {end for _, end in seen} >= {"done"}


@pytest.mark.parametrize("way", ["up", "down"])
def test_a_network_that_swallows_everything_ends_in_time(server, proxy, parcel, tmp_path, monkeypatch, way):
    monkeypatch.setattr(sessions, "END_SECONDS", 1)
    assert attempt(server, tmp_path / "whole.json", parcel, "hold", port=proxy.port) == "done"
    total, chosen = proxy.passed[way], random.Random(8)
    for index, point in enumerate([0, 500, *(chosen.randrange(total) for _ in range(KILLS // 10))]):
        server.mails.clear()
        path = tmp_path / f"{index}.json"
        proxy.fail(Fault.HOLE, point, way)
        began = time.monotonic()
        end = attempt(server, path, parcel, "hold", port=proxy.port, timeout_seconds=1)
        assert end in ("Transient", "Uncertain", "done")
        assert time.monotonic() - began < 100
        proxy.heal()
        assert attempt(server, path, parcel, "hold", port=proxy.port) in ("done", "Uncertain")
        assert max(check_mails(server, parcel).values()) == 1


def test_a_slow_greeting_and_a_busy_one_are_tried_again(server, parcel):
    send = Sender(server)
    server.greeting_seconds = 5
    with pytest.raises(Transient, match="no connection"):
        send(parcel, timeout_seconds=1)
    server.greeting_seconds = 0
    server.say("GREETING", "421 4.3.2 too many connections")
    with pytest.raises(Transient, match=r"421 4\.3\.2 too many"):
        send(parcel)
    server.answers.clear()
    send(parcel)
    assert len(server.mails) == 1


def test_a_server_that_closes_after_each_mail_gets_a_session_for_each(server, parcel):
    """421 instead of the third answer: the recipient waits, the others have theirs over sessions of their own."""
    server.say("RCPT", "421 4.7.0 one at a time", to=PEOPLE[1])
    send = Sender(server)
    with pytest.raises(Transient, match=PEOPLE[1]):
        send(parcel, to=PEOPLE)
    assert server.sessions == 2
    assert [mail.recipient for mail in server.mails] == [PEOPLE[0], PEOPLE[2]]


def test_a_lost_answer_with_a_busy_one_is_tried_again_first_and_then_held(server, parcel):
    server.losing.add(PEOPLE[0])
    server.say("RCPT", "450 4.2.0 busy", to=PEOPLE[1])
    send = Sender(server)
    with pytest.raises(
        Transient, match=rf"not now: {PEOPLE[1]}.*nobody knows whether it arrived: {PEOPLE[0]}"
    ):
        send(parcel, to=PEOPLE)
    server.answers.clear()
    with pytest.raises(Uncertain, match=PEOPLE[0]):
        send(parcel, to=PEOPLE)
    assert Counter(mail.recipient for mail in server.mails) == Counter(PEOPLE)


def misbehave(server: MailServer, chosen: random.Random) -> None:
    """Let the server treat each recipient in one of its ways."""
    server.answers.clear()
    server.losing.clear()
    for who in PEOPLE:
        command = chosen.choice(["RCPT", "DATA", "END", "LOSE", "", ""])
        if command == "LOSE":
            server.losing.add(who)
        elif command:
            server.say(
                command, chosen.choice(["421 4.3.2 closing", "451 4.7.1 later", "550 5.7.1 never"]), to=who
            )


def test_whatever_a_server_does_nobody_gets_two_mails_and_nobody_is_forgotten(server, parcel):
    chosen = random.Random(9)
    for number in range(max(10, KILLS // 2)):
        server.mails.clear()
        send, lost = Sender(server), set()
        for _ in range(4):
            misbehave(server, chosen)
            told = ""
            try:
                send(parcel, to=PEOPLE)
            except LoyaltyError as error:
                told = str(error)
            assert all(who in told for who, answer in send.answers().items() if answer != "accepted")
            lost |= {who for who, answer in send.answers().items() if answer == "unknown"}
        server.answers.clear()
        server.losing.clear()
        if lost:
            with pytest.raises(Uncertain, match="|".join(lost)):
                send(parcel, to=PEOPLE)
        else:
            send(parcel, to=PEOPLE)
        assert check_mails(server, parcel) == Counter(PEOPLE), number
        assert send.answers() == {who: "unknown" if who in lost else "accepted" for who in PEOPLE}
