"""The session with a mail server: TLS that is verified, logins, answers in the server's words, limits."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from include.connections import Connection
from include.errors import LoyaltyError, Permanent, Transient
from include.targets.mail.session import Lost, TooLarge, sender_of, session
from include.targets.protocol import Answer
from tests.servers.running import free_port
from tests.servers.smtp import LOGIN, PASSWORD, MailServer, certified, mail_server
from tests.targets.mail_server import server

__all__ = ["server"]  # a fixture
pytestmark = pytest.mark.servers
FROM, TO = "exports@shop.example", "ann@shop.example"
MESSAGE = b"Subject: x\r\n\r\nfirst\r\n.\r\n..dots\r\n"


def failure(connection: Connection, seconds: float = 5) -> LoyaltyError:
    with pytest.raises(LoyaltyError) as caught, session(connection, seconds):
        pass
    assert PASSWORD not in str(caught.value)
    return caught.value


@contextmanager
def scripted(serve: Callable[[socket.socket], None]) -> Iterator[Connection]:
    """A server that does what a function says with its one client."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            client, _ = listener.accept()
            with client:
                serve(client)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        port = listener.getsockname()[1]
        yield Connection("scripted", "smtp", "127.0.0.1", port, extra={"disable_tls": True})
        thread.join(60)


@pytest.mark.parametrize("tls", ["starttls", "at once", "none"])
def test_every_way_to_a_server(tmp_path, tls):
    with mail_server(tmp_path, tls) as server:
        plain = {"disable_tls": True, "password": ""} if tls == "none" else {}
        with session(server.connection(**plain)) as line:
            assert line.max_bytes == 20_000_000
            assert line.send(FROM, TO, MESSAGE).answer is Answer.ACCEPTED
            assert line.send(FROM, TO, MESSAGE).said == "250 kept"
        assert [mail.content for mail in server.mails] == [MESSAGE] * 2
        assert server.sessions == (tls != "none")


def test_lines_of_one_dot_and_a_missing_line_end_arrive_as_they_are(server):
    with session(server.connection()) as line:
        line.send(FROM, TO, b".\r\n..\r\n.x")
    assert server.mails[0].content == b".\r\n..\r\n.x\r\n"


@pytest.mark.parametrize(
    ("changes", "kind", "right"),
    [
        ({"password": "wrong"}, Permanent, "refuses the login: 535"),
        ({"ca_file": None}, Permanent, "certificate is not to be trusted"),
        ({"ca_file": "/nowhere.pem"}, Permanent, "ca_file cannot be read"),
        ({"ssl_context": "none"}, Permanent, "takes any certificate"),
        ({"timeout": "soon"}, Permanent, "timeout must be a number"),
    ],
)
def test_what_somebody_must_change_is_permanent_and_says_so(server, changes, kind, right):
    seconds = None if "timeout" in changes else 5
    error = failure(server.connection(**changes), seconds)
    assert isinstance(error, kind)
    assert right in str(error)


def test_a_certificate_of_another_name_is_refused(server):
    connection = server.connection()
    other = Connection(
        connection.name, "smtp", "localhost", connection.port, LOGIN, PASSWORD, extra=connection.extra
    )
    assert "certificate is not to be trusted" in str(failure(other))
    assert server.sessions == 0


def test_a_login_that_is_not_possible_now_is_tried_again(server):
    server.say("AUTH", "454 4.7.0 no database")
    error = failure(server.connection())
    assert isinstance(error, Transient)
    assert "454 4.7.0 no database" in str(error)


def test_a_server_without_tls_gets_no_password_and_no_mail(tmp_path):
    with mail_server(tmp_path, "none") as server:
        error = failure(server.connection())
        assert isinstance(error, Permanent)
        assert "does not offer STARTTLS" in str(error)
        far = Connection("far", "smtp", "mail.example.com", 25, extra={"disable_tls": True})
        assert "readable over the network" in str(failure(far))


def test_tls_at_once_where_there_is_none_is_named(tmp_path):
    with mail_server(tmp_path, "none") as server:
        error = failure(server.connection(disable_ssl=False))
        assert isinstance(error, Permanent)
        assert "no TLS is possible there" in str(error)


@pytest.mark.parametrize(
    ("host", "kind"),
    [("no-such-host.invalid", LoyaltyError), ("", Permanent)],
)
def test_hosts_that_are_not_there(host, kind):
    assert isinstance(failure(Connection("x", "smtp", host, 587)), kind)


def test_a_closed_port_is_tried_again():
    error = failure(Connection("x", "smtp", "127.0.0.1", free_port()))
    assert isinstance(error, Lost)
    assert "no connection" in str(error)


def test_a_stripped_greeting_a_flood_and_rubbish_end_in_named_errors():
    for said in (b"", b"rubbish\r\n", b"220 " + b"x" * 100_000 + b"\r\n", b"554 5.7.1 go away\r\n"):
        with scripted(lambda client, said=said: client.sendall(said)) as connection:
            failure(connection, 2)


def test_commands_that_came_before_tls_are_forgotten(tmp_path):
    """What a man in the middle adds in clear after STARTTLS's answer is not read as an answer inside TLS."""
    context = certified(tmp_path)

    def serve(client: socket.socket) -> None:
        client.sendall(b"220 x\r\n")
        client.recv(1000)
        client.sendall(b"250-x\r\n250 STARTTLS\r\n")
        client.recv(1000)
        client.sendall(b"220 go\r\n250-injected\r\n250 SIZE 7\r\n")
        with context.wrap_socket(client, server_side=True) as inside:
            inside.recv(1000)
            inside.sendall(b"250-x\r\n250 SIZE 1000\r\n")
            inside.recv(1000)

    with scripted(serve) as plain:
        extra = {"ca_file": str(tmp_path / "authority.pem")}
        connection = Connection("x", "smtp", "127.0.0.1", plain.port, extra=extra)
        with session(connection, 5) as line:
            assert line.max_bytes == 1000


def test_a_message_over_the_limit_is_not_begun(tmp_path):
    with mail_server(tmp_path, size=1000) as server, session(server.connection()) as line:
        with pytest.raises(TooLarge, match="takes 1,000 bytes, the message has 2,000"):
            line.send(FROM, TO, bytes(2000))
        assert line.alive
        assert line.send(FROM, TO, MESSAGE).answer is Answer.ACCEPTED


def test_a_server_that_stops_reading_in_the_middle_is_later_with_its_words():
    def serve(client: socket.socket) -> None:
        client.sendall(b"220 x\r\n")
        for answer in (b"250 x\r\n", b"250 from\r\n", b"250 to\r\n", b"354 go\r\n"):
            client.recv(1000)
            client.sendall(answer)
        client.sendall(b"452 4.3.1 disk full\r\n")
        client.shutdown(socket.SHUT_WR)
        client.recv(1 << 16)  # and what comes after is refused by the closed socket

    with scripted(serve) as connection, session(connection, 5) as line:
        found = line.send(FROM, TO, b"x" * (64 << 20))
        assert found.answer is Answer.LATER
        assert not line.alive


def test_the_end_is_not_sent_when_the_record_fails(server):
    def fail() -> None:
        raise RuntimeError("the claim is over")

    with session(server.connection()) as line:
        with pytest.raises(RuntimeError, match="is over"):
            line.send(FROM, TO, MESSAGE, fail)
        assert not line.alive
    assert server.mails == []


def test_who_sends():
    plain = Connection(
        "x", "smtp", "h", login="me@shop.example", extra={"from_email": "exports@shop.example"}
    )
    assert sender_of(plain, "other@shop.example") == "other@shop.example"
    assert sender_of(plain) == "exports@shop.example"
    assert sender_of(Connection("x", "smtp", "h", login="me@shop.example")) == "me@shop.example"
    with pytest.raises(Permanent, match="from_email"):
        sender_of(Connection("x", "smtp", "h", login="exports"))
    named = Connection("x", "smtp", "h", extra={"from_email": "Shop <exports@shop.example>"})
    with pytest.raises(Permanent, match="no address alone"):
        sender_of(named)


def test_a_token_instead_of_a_password(tmp_path: Path):
    """XOAUTH2 as Google and Microsoft have it: one base64 word with the login and the bearer token."""
    seen = []

    def serve(client: socket.socket) -> None:
        client.sendall(b"220 x\r\n")
        client.recv(1000)
        client.sendall(b"250-x\r\n250 AUTH XOAUTH2\r\n")
        seen.append(client.recv(1000))
        client.sendall(b"235 ok\r\n")
        client.recv(1000)

    with scripted(serve) as plain:
        extra = {"auth_type": "oauth2", "access_token": "tok", "disable_tls": True}
        with session(Connection("x", "smtp", "127.0.0.1", plain.port, "me@shop.example", extra=extra), 5):
            pass
    # user=me@shop.example ^A auth=Bearer tok ^A ^A
    assert seen == [b"AUTH XOAUTH2 dXNlcj1tZUBzaG9wLmV4YW1wbGUBYXV0aD1CZWFyZXIgdG9rAQE=\r\n"]


def test_a_servers_words_are_one_short_line(server):
    server.say("RCPT", "550 \x1b[31mred\x07 " + "x" * 400, to=TO)
    with session(server.connection()) as line:
        said = line.probe(FROM, TO).said
    assert said.startswith("550 [31mred x")
    assert said.isprintable()
    assert len(said) == 300


def test_probing_sends_nothing_and_leaves_the_session_usable(server: MailServer):
    server.say("RCPT", "550 5.1.1 nobody", to="nobody@shop.example")
    with session(server.connection()) as line:
        assert line.probe(FROM, "nobody@shop.example").said == "550 5.1.1 nobody"
        assert line.probe(FROM, TO).answer is Answer.ACCEPTED
        assert line.send(FROM, TO, MESSAGE).answer is Answer.ACCEPTED
    assert len(server.mails) == 1
