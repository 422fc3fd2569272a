"""The email target on Exim: what a mail server that people run takes, refuses and limits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from include.connections import Secrets
from include.errors import Permanent
from include.targets import email
from include.targets.protocol import no_progress
from tests.servers.exim import SIZE, UNKNOWN, Exim, exim
from tests.servers.openssh import NotInstalled
from tests.servers.smtp import NAME
from tests.targets.mail_server import (
    CONTENT,
    DATA,
    MANIFEST,
    Links,
    Sender,
    options_of,
    parcel,
    parcel_of,
    secrets_of,
)

__all__ = ["parcel"]  # a fixture
pytestmark = [pytest.mark.servers, pytest.mark.slow]
PEOPLE = ["ann@shop.example", "bob@partner.example"]


@pytest.fixture(scope="module")
def server() -> Iterator[Exim]:
    try:
        with exim() as running:
            yield running
    except NotInstalled as missing:
        pytest.skip(f"not installed: {missing}")


def test_a_delivery_with_a_refused_recipient_a_limit_and_a_link(server, parcel, tmp_path):
    connection = server.connection()
    secrets = secrets_of(connection)
    [refused, limit] = email.test(options_of(to=[*PEOPLE, UNKNOWN]), secrets)
    assert refused.value == UNKNOWN
    assert "550 no such user here" in refused.right
    assert f"takes {SIZE:,} bytes" in limit.right

    send = Sender(None, connection)
    with pytest.raises(Permanent, match=r"2 of 3 .*550 no such user here"):
        send(parcel, to=[*PEOPLE, UNKNOWN])
    assert send.answers() == dict.fromkeys(PEOPLE, "accepted") | {UNKNOWN: "refused"}
    mails = server.mails(2)
    assert sorted(mail.recipient for mail in mails) == PEOPLE
    for mail in mails:
        assert mail.attached == {DATA: CONTENT, MANIFEST: b"{}"}
        assert mail.message["subject"] == "Month-end liability: 2026-01"

    large = replace(parcel_of(tmp_path, {"big.csv": bytes(SIZE)}, key="large"), links=Links())
    Sender(None, connection)(large, to=PEOPLE[:1])
    [linked] = [mail for mail in server.mails(3) if not mail.attached]
    assert "https://exports.example/d/1" in linked.body("plain")


def test_a_wrong_password_is_permanent(server, parcel):
    wrong = Secrets(secrets_of(server.connection()).keys, {NAME: server.connection("wrong")})
    with pytest.raises(Permanent, match="535"):
        email.deliver(options_of(), parcel, wrong, no_progress)
