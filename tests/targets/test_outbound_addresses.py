"""The guarded sender: which addresses a request may go to, and what a connection may say."""

from __future__ import annotations

import re
import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.connections import Connection, _from_uri
from include.errors import BadInput, Permanent, Transient
from include.targets import outbound
from include.targets.hooks import addresses
from include.targets.hooks.endpoint import endpoint, header_problem
from tests.servers.receiver import NAME, receiver
from tests.targets.test_outbound import HELLO, authority, sent, server

__all__ = ["authority", "server"]  # fixtures


# Addresses


@pytest.mark.parametrize(
    "address",
    [
        "10.1.2.3",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "127.0.0.1",
        "100.64.0.1",
        "::1",
        "fc00::1",
        "fd12::1",
    ],
)
def test_addresses_inside_the_house_need_the_administrators_word(address):
    assert "allow_private" in addresses.refusal(address, allow_private=False)
    assert addresses.refusal(address, allow_private=True) == ""


@pytest.mark.parametrize(
    "address",
    [
        *("169.254.169.254", "169.254.0.1", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "168.63.129.16"),
        *("100.100.100.200", "192.0.0.192", "0.0.0.0", "::", "224.0.0.1", "239.255.255.250", "ff02::1"),
        *("255.255.255.255", "240.0.0.1", "198.18.0.1", "192.0.2.1", "2001:db8::1", "3fff::1", "5f00::1"),
        # An IPv4 address in the clothes of an IPv6 one: mapped, compatible, NAT64, 6to4, Teredo; site-local.
        *(
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::7f00:1",
            "64:ff9b::a00:1",
            "2002:7f00:1::1",
            "2001::1",
            "fec0::1",
        ),
    ],
)
@pytest.mark.parametrize("allow_private", [False, True])
def test_no_receiver_is_at_these_addresses_whoever_says_so(address, allow_private):
    assert addresses.refusal(address, allow_private=allow_private)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "93.184.216.34", "172.32.0.1", "2606:4700::1111", "2a00:1450::200e"]
)
def test_public_addresses_are_allowed(address):
    assert addresses.refusal(address, allow_private=False) == ""


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_never_allowed_only_because_it_is_wrapped(address):
    for wrapped in (f"::ffff:{address}", f"::{address}", f"64:ff9b::{address}"):
        assert addresses.refusal(wrapped, allow_private=True)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0x7f000001", "127.1", "017700000001"]
)
def test_loopback_by_any_spelling_is_refused_before_anything_is_sent(host):
    with receiver() as server:
        connection = Connection(NAME, host=f"http://{host}", port=server.port, extra={"allow_plain": True})
        with pytest.raises(Permanent, match=r"inside the house|no receiver"):
            outbound.send(endpoint(connection), HELLO)
        assert server.connections == 0


def test_one_bad_address_of_a_name_is_enough(monkeypatch):
    rows = [(socket.AF_INET, 1, 6, "", (ip, 443)) for ip in ("93.184.216.34", "10.0.0.5")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: rows)
    with pytest.raises(Permanent, match=r"10\.0\.0\.5"):
        addresses.checked("rebind.example", 443, allow_private=False, seconds=5)


def test_a_name_is_looked_up_once_and_the_socket_goes_to_what_was_judged(server, monkeypatch):
    """A name server that answers loopback first and something else afterwards changes nothing."""
    plain, asked = socket.getaddrinfo, []

    def lookup(host, *arguments, **named):
        asked.append(host)
        if host == "localhost" and asked.count("localhost") > 1:
            host = "192.0.2.1"
        return plain("127.0.0.1" if host == "localhost" else host, *arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    assert sent(server).status == 200
    assert asked == ["localhost", "127.0.0.1"]
    assert server.hosts == {f"localhost:{server.port}"}


def test_a_name_that_nobody_knows_or_answers(monkeypatch):
    with pytest.raises(Transient, match="no address"):
        addresses.checked("nowhere.invalid", 443, allow_private=False, seconds=20)
    answers = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers.wait(120) and [])
    with pytest.raises(Transient, match="no answer"):
        addresses.checked("slow.example", 443, allow_private=False, seconds=0.2)
    assert not answers.is_set()
    answers.set()


# Connections


@pytest.mark.parametrize(
    ("made", "what"),
    [
        (Connection("c", host="http://hooks.example"), "http"),
        (Connection("c", host="ftp://hooks.example"), "ftp"),
        (Connection("c", host=""), "host"),
        (Connection("c", host="https://user:pass@hooks.example"), "host"),
        (Connection("c", host="https://hooks.example:99999"), "port"),
        (Connection("c", host="https://hööks.example"), "host"),
        (Connection("c", host="https://h.example/#a"), "host"),
        (Connection("c", host="https://h.example", extra={"path": "catch/1"}), "path"),
        (Connection("c", host="https://h.example", extra={"path": "/a b"}), "path"),
        (Connection("c", host="https://h.example", extra={"path": "/a\r\nX: y"}), "path"),
        (Connection("c", host="https://h.example", extra={"secret": "short"}), "secret"),
        (Connection("c", host="https://h.example", extra={"secret": "whsec_%%%"}), "secret"),
        (Connection("c", host="https://h.example", extra={"secret": 5}), "secret"),
        (Connection("c", host="https://h.example", extra={"allow_private": "yes"}), "allow_private"),
        (Connection("c", host="https://h.example", extra={"headers": {"X-A": "b\r\nX-C: d"}}), "X-A"),
        (Connection("c", host="https://h.example", extra={"headers": {"Host": "other"}}), "Host"),
        (Connection("c", host="https://h.example", extra={"headers": "X"}), "headers"),
        (Connection("c", host="https://h.example", login="a", password="b", extra={"token": "t"}), "token"),
    ],
)
def test_a_connection_that_cannot_be_used_says_why(made, what):
    with pytest.raises(BadInput) as caught:
        endpoint(made)
    assert what in str(caught.value)


def test_all_problems_of_a_connection_are_told_at_once_without_its_secrets():
    extra = {
        "path": "x",
        "secret": "hush-hush",
        "headers": {"Host": "hidden-value"},
        "token": "tok\r\nen-hidden",
    }
    with pytest.raises(BadInput) as caught:
        endpoint(Connection("c", host="https://h.example", password="pass-hidden", extra=extra))
    assert {problem.value for problem in caught.value.problems} == {
        *("path", "headers: Host", "headers: token", "secret", "token"),
    }
    assert not re.search("hush|hidden", str(caught.value))


def test_the_path_of_the_connection_may_be_the_secret_and_is_not_shown():
    where = endpoint(
        Connection("c", host="https://hooks.zapier.com", extra={"path": "/hooks/catch/1/abc?sig=x%2By"})
    )
    assert where.path == "/hooks/catch/1/abc?sig=x%2By"
    assert "abc" not in repr(where)
    assert where.place == "https://hooks.zapier.com"
    assert endpoint(Connection("c", host="https://h.example/base/"), "v1/rows").path == "/base/v1/rows"
    assert endpoint(Connection("c", host="h.example", port=8443)).place == "https://h.example:8443"
    with pytest.raises(BadInput, match="query"):
        endpoint(Connection("c", host="https://h.example", extra={"path": "/a?b"}), "v1")


def test_airflows_uri_form_holds_switches_as_text():
    made = _from_uri("c", "http://http://127.0.0.1:8080?allow_plain=true&allow_private=true")
    where = endpoint(made)
    assert (where.scheme, where.port, where.allow_private) == ("http", 8080, True)


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding", "webhook-id", "a b", "", "x:"])
def test_headers_that_requests_set_themselves_cannot_be_set(name):
    assert header_problem(name, "x")
