"""Requests to servers that an administrator named in a connection: guarded, signed, never redirected.

The connection alone says where a request goes (`hooks.endpoint`). Its host's name is looked up once, each of its
addresses is judged (`hooks.addresses`), and the socket goes to a judged address, so a name cannot point elsewhere
afterwards. Proxies of the environment are not used: they would look the name up again. Webhooks and notices go
this way.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from http.client import HTTPException
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from include.errors import LoyaltyError, NotYet, Permanent, Transient
from include.targets.hooks import addresses, signing
from include.targets.hooks.endpoint import Endpoint
from include.targets.hooks.message import Body, Message, Reply

if TYPE_CHECKING:
    from urllib3.connection import HTTPConnection

__all__ = ["Body", "Message", "Reply", "Unanswered", "failure", "reach", "send"]
CONNECT_SECONDS = 10.0
ANSWER_BYTES = 64 << 10
LONGEST_WAIT_SECONDS = 86_400
# A body that travels more slowly than this is taken for stuck.
SLOWEST_BYTES_A_SECOND = 128 << 10
_BUSY = frozenset({408, 425, 429})
_REMEDIES = {
    401: "check login and password, token or headers of the connection",
    403: "check login and password, token or headers of the connection, and what they may do there",
    404: "nothing is at this address: check host and path of the connection",
    410: "the address is gone: make a new one there, and put it into the connection",
    413: "it is too large for the receiver: send smaller batches, or the event with links",
    415: "the receiver does not take this kind of body",
}


class Unanswered(Transient):
    """The request went out and no answer came: nobody here can tell whether it was taken."""


def send(
    endpoint: Endpoint,
    message: Message,
    *,
    seconds: float = 30.0,
    told: Callable[[int], None] = lambda _bytes: None,
) -> Reply:
    """Send one request and return its answer, whatever its status, except a redirect.

    seconds: of the whole of it, from the lookup of the name to the answer's end; a large body gets more. told: hears
    the bytes of the body sent so far. Raises Permanent for an address that is refused, a certificate that is not
    trusted and a redirect; Transient when nothing was sent; Unanswered when something was.
    """
    signature = signing.headers(endpoint.keys, message.id, int(time.time()), message.body.pieces())
    headers = _headers(endpoint, message, signature)
    with _connected(endpoint, seconds + message.body.size / SLOWEST_BYTES_A_SECOND) as limit:
        try:
            reply = _asked(limit.connection, endpoint, message, headers, told)
        except _broken() as error:
            why = "the time was over" if limit.over else str(error) or type(error).__name__
            raise Unanswered(
                f"{endpoint.place}: no whole answer came after the request went out ({why})"
            ) from error
    if 300 <= reply.status < 400:
        raise Permanent(_moved(endpoint, reply))
    return reply


def reach(endpoint: Endpoint, *, seconds: float = 30.0) -> None:
    """Connect, with TLS, and send nothing; raises as `send` does."""
    with _connected(endpoint, seconds):
        pass


def failure(endpoint: Endpoint, reply: Reply) -> LoyaltyError:
    """Return the error for an answer that is no success: what the caller does next, and what was answered.

    A server that says when to ask again is asked again then (NotYet). Secrets may stand in the text: scrub it.
    """
    said = f"{endpoint.place} answers {reply.status}" + (f": {reply.text}" if reply.text else "")
    if reply.status not in _BUSY and reply.status < 500:
        return Permanent(said + (f" - {_REMEDIES[reply.status]}" if reply.status in _REMEDIES else ""))
    if not (wait := reply.retry_after):
        return Transient(said)
    until = datetime.fromtimestamp(reply.at.timestamp() + min(wait, LONGEST_WAIT_SECONDS), UTC)
    return NotYet(f"{said} (it asks us to wait until {until:%Y-%m-%d %H:%M:%S} UTC)", until)


def _headers(endpoint: Endpoint, message: Message, signature: Mapping[str, str]) -> Mapping[str, str]:
    """Return what goes with the request, each name once whatever its case; the connection's word is the last."""
    from urllib3 import HTTPHeaderDict

    found = HTTPHeaderDict({"User-Agent": "loyalty-ledger-exports", "Accept": "*/*"})
    found.update(message.headers)
    found.update(endpoint.headers)
    found.update({
        "Host": endpoint.authority,
        "Accept-Encoding": "identity",
        "Content-Type": message.body.media_type,
        "Content-Length": str(message.body.size),
        "Idempotency-Key": message.id,
        **signature,
    })  # fmt: skip
    return found


def _asked(
    connection: HTTPConnection,
    endpoint: Endpoint,
    message: Message,
    headers: Mapping[str, str],
    told: Callable[[int], None],
) -> Reply:
    def pieces() -> Generator[bytes, None, None]:
        sent = 0
        for piece in message.body.pieces():
            yield piece
            sent += len(piece)
            told(sent)

    # A server may answer before it has read all; what is left of the body has a thread, which ends here.
    with closing(pieces()) as sending, suppress(BrokenPipeError, ConnectionResetError):
        connection.request(
            message.method, endpoint.path, sending, headers, preload_content=False, decode_content=False
        )
    answer = connection.getresponse()
    body = b""
    with suppress(*_broken()):  # the status is the answer; its text is for people
        body = endpoint.hide(answer.read(ANSWER_BYTES))
    return Reply(answer.status, answer.headers, body, datetime.now(UTC))


@contextmanager
def _connected(endpoint: Endpoint, seconds: float) -> Iterator[_Limit]:
    """Connect to the first judged address that answers; whatever happens, all is over after so many seconds."""
    limit = _Limit(seconds)
    try:
        private, most = endpoint.allow_private, limit.left(CONNECT_SECONDS)
        found = addresses.checked(endpoint.host, endpoint.port, allow_private=private, seconds=most)
        _open(endpoint, found, limit)
        yield limit
    finally:
        limit.close()


def _open(endpoint: Endpoint, found: list[str], limit: _Limit) -> None:
    why = ""
    for address in found:
        connection = limit.connection = _connection(endpoint, address, limit.left(CONNECT_SECONDS))
        try:
            connection.connect()
        except ssl.SSLCertVerificationError as error:
            raise Permanent(
                f"{endpoint.place}: its certificate is not trusted here ({error.verify_message}); for an authority of "
                "your own, ca_file in the connection's extra names its certificate"
            ) from error
        except _broken() as error:
            why = str(error) or type(error).__name__
            connection.close()
        else:
            connection.timeout = limit.left()
            return
    raise Transient(f"{endpoint.place}: no connection ({why}); is the address right, and the server up?")


def _connection(endpoint: Endpoint, address: str, seconds: float) -> HTTPConnection:
    from urllib3.connection import HTTPConnection, HTTPSConnection

    if endpoint.scheme == "http":
        return HTTPConnection(address, endpoint.port, timeout=seconds)
    try:
        trusted = ssl.create_default_context(cafile=endpoint.ca_file)
    except OSError as error:
        raise Permanent(f"ca_file {endpoint.ca_file} cannot be read ({error.strerror or error})") from error
    # The name is what the certificate must be for; the address is where the socket goes.
    return HTTPSConnection(
        address, endpoint.port, timeout=seconds, ssl_context=trusted, server_hostname=endpoint.host
    )


class _Limit:
    """A connection that is broken off when its time is over: timeouts of sockets begin anew at each byte."""

    connection: HTTPConnection

    def __init__(self, seconds: float) -> None:
        self.over = False
        self._end = time.monotonic() + seconds
        self._timer = threading.Timer(seconds, self._strike)
        self._timer.daemon = True
        self._timer.start()

    def left(self, most: float = float("inf")) -> float:
        """Return the seconds that are left, never none, and no more than `most`."""
        return min(most, max(0.1, self._end - time.monotonic()))

    def close(self) -> None:
        """End the watch and the connection."""
        self._timer.cancel()
        if hasattr(self, "connection"):
            self.connection.close()

    def _strike(self) -> None:
        self.over = True
        sock = self.connection.sock if hasattr(self, "connection") else None
        if sock is not None:
            with suppress(OSError):  # not TLS's own shutdown: another thread reads
                socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _broken() -> tuple[type[Exception], ...]:
    """Return what a connection that fails raises."""
    from urllib3.exceptions import HTTPError

    return OSError, HTTPException, HTTPError


def _moved(endpoint: Endpoint, reply: Reply) -> str:
    parts = urlsplit(reply.headers.get("Location", ""))
    path = endpoint.hide(parts.path.encode(errors="replace")).decode()
    where = f"{parts.scheme}://{parts.hostname}{path}" if parts.hostname else path or "nowhere"
    return (
        f"{endpoint.place} answers {reply.status} and points to {where}: redirects are not followed; put the address "
        "that the receiver really has into the connection"
    )
