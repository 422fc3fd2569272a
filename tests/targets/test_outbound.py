"""The guarded sender: what goes out and is signed, which certificates, how long, how much.

The receiver's side of a signature is the code of docs/targets/webhook.md, which is run here.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import re
import socket
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.connections import Connection
from include.errors import NotYet, Permanent, Transient
from include.targets import outbound
from include.targets.hooks import signing
from include.targets.hooks.endpoint import endpoint
from include.targets.hooks.message import Body, Message, Reply
from tests.servers.certificates import certificates
from tests.servers.receiver import NAME, SECRET, Answer, receiver

pytestmark = pytest.mark.slow

# Servers here hold us twice as long, or for ever; a busy machine is no failure.
ENDS_IN_TIME = 30
HELLO = Message("m-1", Body.of(b'{"type":"hello"}'))
DOCS = Path(__file__).parents[2] / "docs" / "targets" / "webhook.md"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def server(authority):
    with receiver(authority) as running:
        yield running


def sent(server, message=HELLO, *, seconds=5.0, **extra):
    return outbound.send(endpoint(server.connection(**extra)), message, seconds=seconds)


# What goes out


def test_a_request_carries_what_the_connection_says(server):
    reply = sent(server, token="t0ken-secret", headers={"X-Api-Key": "k3y"})
    assert (reply.status, reply.body) == (200, b'{"id": "r-1"}')
    (received,) = server.requests
    assert (received.method, received.path, received.body) == ("POST", "/", b'{"type":"hello"}')
    assert received.headers["Authorization"] == "Bearer t0ken-secret"
    assert received.headers["X-Api-Key"] == "k3y"
    assert received.headers["Idempotency-Key"] == received.headers["webhook-id"] == "m-1"


def test_login_and_password_are_basic_authorization(server):
    made = server.connection()
    where = endpoint(Connection(**{**vars(made), "login": "user", "password": "pä:ss"}))
    outbound.send(where, HELLO)
    assert (
        server.requests[0].headers["Authorization"]
        == "Basic " + base64.b64encode("user:pä:ss".encode()).decode()
    )


def test_the_connections_headers_win_over_the_definitions_whatever_their_case(server):
    message = Message("m-1", HELLO.body, headers={"x-api-key": "from the definition", "X-Other": "o"})
    sent(server, message, headers={"X-Api-Key": "from the connection"})
    assert server.requests[0].headers.get_all("x-api-key") == ["from the connection"]
    assert server.requests[0].headers["X-Other"] == "o"


def verification():
    """The receiver's code as the docs have it."""
    code = re.search(r"```python\n(import.+?)```", DOCS.read_text(), re.DOTALL)[1]
    assert len([line for line in code.splitlines() if line.strip()]) == 8
    names = {}
    exec(code, names)
    return names["is_ours"]


def test_the_receivers_code_of_the_docs_accepts_what_we_sign_and_nothing_else(server):
    sent(server, Message("m-7", Body(6, lambda: [b"abc", b"def"])))
    (received,) = server.requests
    is_ours = verification()
    assert is_ours(received.headers, received.body, SECRET)
    assert not is_ours(received.headers, received.body + b" ", SECRET)
    assert not is_ours(received.headers, received.body, "whsec_" + base64.b64encode(b"x" * 32).decode())
    for name in ("webhook-id", "webhook-timestamp"):
        changed = dict(received.headers.items()) | {name: "1795334124" if "time" in name else "m-8"}
        assert not is_ours(changed, received.body, SECRET)
    old = int(time.time()) - 3600
    replayed = signing.headers(signing.keys_of(SECRET, pytest.fail), "m-7", old, [received.body])
    assert not is_ours(replayed, received.body, SECRET)


def test_the_signature_is_that_of_the_convention():
    """The worked example of the Standard Webhooks specification's own libraries."""
    keys = signing.keys_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", pytest.fail)
    found = signing.headers(keys, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, [b'{"test": ', b"2432232314}"])
    assert found["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_while_a_secret_is_changed_both_sign(server):
    new = base64.b64encode(b"n" * 32).decode()
    sent(server, secret=["whsec_" + new, SECRET])
    (received,) = server.requests
    assert len(received.headers["webhook-signature"].split()) == 2
    assert all(verification()(received.headers, received.body, secret) for secret in ("whsec_" + new, SECRET))


def test_without_a_secret_there_is_no_signature(server):
    sent(server, secret=None)
    assert "webhook-signature" not in server.requests[0].headers


@given(
    st.binary(min_size=24, max_size=80),
    st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1),
    st.binary(),
)
def test_a_signature_is_the_hmac_of_id_timestamp_and_body(key, message_id, body):
    secret = signing.PREFIX + base64.b64encode(key).decode()
    found = signing.headers(signing.keys_of(secret, pytest.fail), message_id, 5, [body[:3], body[3:]])
    expected = hmac.digest(key, f"{message_id}.5.".encode() + body, hashlib.sha256)
    assert found["webhook-signature"] == "v1," + base64.b64encode(expected).decode()


# What comes back


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_says_where_it_points_without_the_query(server, status):
    server.script = [Answer(status, {"Location": "https://evil.example/take?token=s3cret"})]
    with pytest.raises(Permanent, match=r"points to https://evil\.example/take: ") as caught:
        sent(server)
    assert "s3cret" not in str(caught.value)
    assert len(server.requests) == 1


def test_a_redirect_to_the_same_secret_path_does_not_show_it(server):
    """As from one host to another: the path of a hook's address is often all that protects it."""
    path = "/services/T000/B000/s3cretXXXX"
    server.script = [Answer(308, {"Location": f"https://other.example{path}"})]
    with pytest.raises(Permanent, match=r"points to https://other\.example\*\*\*: ") as caught:
        sent(server, path=path)
    assert "s3cret" not in str(caught.value)


def test_a_certificate_of_an_unknown_authority_is_not_trusted(server, tmp_path):
    other = certificates(tmp_path / "other")
    for ca_file in ("", str(other.authority)):
        with pytest.raises(Permanent, match="not trusted"):
            sent(server, ca_file=ca_file)
    assert server.requests == []


def test_a_certificate_must_be_for_the_name(tmp_path):
    with receiver(certificates(tmp_path, names=("other.example",), addresses=())) as server:
        with pytest.raises(Permanent, match="not trusted"):
            sent(server)
        assert server.requests == []


def test_a_missing_ca_file_is_told(server):
    with pytest.raises(Permanent, match="ca_file /nowhere"):
        sent(server, ca_file="/nowhere")


def test_plain_http_to_a_tls_server_and_the_other_way_round(server):
    plain = Connection(
        NAME, host="http://localhost", port=server.port, extra={"allow_plain": True, "allow_private": True}
    )
    with pytest.raises((outbound.Unanswered, Transient)):
        outbound.send(endpoint(plain), HELLO, seconds=5)
    with receiver() as other:
        connection = Connection(
            NAME, host="https://localhost", port=other.port, extra={"allow_private": True}
        )
        with pytest.raises(Transient, match="no connection"):
            outbound.send(endpoint(connection), HELLO, seconds=5)


def test_a_server_that_is_down_took_nothing(server):
    connection = server.connection()
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        where = endpoint(Connection(**{**vars(connection), "port": closed.getsockname()[1]}))
        with pytest.raises(Transient, match="is the address right") as caught:
            outbound.send(where, HELLO, seconds=5)
        assert not isinstance(caught.value, outbound.Unanswered)


@pytest.mark.parametrize("how", ["cut", "cut before", "hang"])
def test_a_lost_answer_is_a_doubt_and_comes_in_time(server, how):
    server.script = [Answer(how=how)]
    began = time.monotonic()
    with pytest.raises(outbound.Unanswered, match="no whole answer"):
        sent(server, seconds=1.0)
    assert time.monotonic() - began < ENDS_IN_TIME


def test_a_server_that_accepts_and_says_nothing_ends_in_time():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connection = Connection(
            NAME, host="https://localhost", port=listener.getsockname()[1], extra={"allow_private": True}
        )
        began = time.monotonic()
        with pytest.raises(Transient) as caught:
            outbound.send(endpoint(connection), HELLO, seconds=1.0)
        assert not isinstance(caught.value, outbound.Unanswered)
        assert time.monotonic() - began < ENDS_IN_TIME


def test_an_answer_that_drips_does_not_hold_us(server):
    server.script = [Answer(body=b"x" * 200, how="drip")]
    began = time.monotonic()
    assert sent(server, seconds=1.0).status == 200  # the status is the answer
    assert time.monotonic() - began < ENDS_IN_TIME


def test_what_let_us_in_is_hidden_where_a_server_repeats_it(server):
    made = server.connection(path="/hooks/s3cret-address", headers={"X-Api-Key": "the-api-k3y"})
    where = endpoint(Connection(**{**vars(made), "login": "exports", "password": "hush-hush"}))
    basic = base64.b64encode(b"exports:hush-hush")
    server.script = [
        Answer(400, body=b"no Basic " + basic + b" or the-api-k3y at /hooks/s3cret-address here")
    ]
    reply = outbound.send(where, HELLO, seconds=5)
    assert reply.body == b"no *** or *** at *** here"


def test_a_long_answer_is_cut(server):
    server.script = [Answer(body=b"x" * (3 << 20))]
    reply = sent(server)
    assert len(reply.body) == outbound.ANSWER_BYTES
    assert len(reply.text) == 300


def test_a_packed_answer_is_not_unpacked(server):
    """A small answer that unpacks to gigabytes stays small."""
    packed = gzip.compress(bytes(10 << 20))
    server.script = [Answer(headers={"Content-Encoding": "gzip"}, body=packed)]
    assert sent(server).body == packed


def test_an_answer_that_comes_before_the_body_has_gone_out_is_heard():
    """A server that refuses a large body at once, and closes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            client, _ = listener.accept()
            client.recv(1000)
            client.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            client.shutdown(socket.SHUT_WR)
            time.sleep(0.3)
            client.close()

        thread = threading.Thread(target=serve)
        thread.start()
        extra = {"allow_plain": True, "allow_private": True}
        connection = Connection(NAME, host="http://localhost", port=listener.getsockname()[1], extra=extra)
        body = Body(64 << 20, lambda: (bytes(1 << 20) for _ in range(64)))
        with suppress(outbound.Unanswered):  # the reset may overtake the answer; then nobody knows
            assert outbound.send(endpoint(connection), Message("m", body), seconds=5).status == 413
        thread.join()


NOW = datetime(2026, 4, 1, 6, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ("120", 120.0),
        ("0", 0.0),
        ("Wed, 01 Apr 2026 06:01:30 GMT", 90.0),
        ("Wed, 01 Apr 2026 05:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("1e9", None),
        ("", None),
    ],
)
def test_how_long_a_server_asks_us_to_wait(asked, seconds):
    assert Reply(429, {"Retry-After": asked}, b"", NOW).retry_after == seconds


WHERE = endpoint(Connection("c", host="https://h.example"))


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 599])
def test_what_may_work_later_is_transient(status):
    assert type(outbound.failure(WHERE, Reply(status, {}, b"busy", NOW))) is Transient


def test_who_says_when_is_asked_again_then():
    error = outbound.failure(WHERE, Reply(503, {"Retry-After": "120"}, b"", NOW))
    assert isinstance(error, NotYet)
    assert error.until == NOW + timedelta(seconds=120)
    far = outbound.failure(WHERE, Reply(503, {"Retry-After": "999999999"}, b"", NOW))
    assert far.until == NOW + timedelta(days=1)


@pytest.mark.parametrize(
    ("status", "told"),
    [(400, "is wrong"), (401, "login and password"), (403, "login and password"), (404, "host and path"), (410, "gone"), (413, "smaller"), (422, "is wrong")],
)  # fmt: skip
def test_what_will_not_work_is_permanent_and_says_what_was_answered(status, told):
    error = outbound.failure(WHERE, Reply(status, {}, b"  field x\n is wrong " + b"y" * 1000, NOW))
    assert type(error) is Permanent
    assert "https://h.example answers" in str(error)
    assert "field x is wrong" in str(error)
    assert told in str(error)
    assert len(str(error)) < 500
