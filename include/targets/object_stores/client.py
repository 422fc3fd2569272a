"""Requests to object stores: signed anew for every attempt, repeated where that is safe, refusals with their code."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit
from urllib.request import getproxies, proxy_bypass

from include.connections import HIDDEN
from include.errors import LoyaltyError, Permanent, Transient
from include.targets.unchanged import Stamp, reading

ATTEMPTS = 5
BACKOFF_SECONDS = 0.3
LONGEST_WAIT_SECONDS = 30.0
# Of a connect, and of each piece that is sent: with a whole part at once, a slow line would look like a dead one.
CONNECT_SECONDS = 10
PIECE_BYTES = 256 << 10
# Of one read; a server that says nothing for so long is taken for dead.
SILENCE_SECONDS = 60
LANES = 3
# No access token and no signature is shorter.
_TOKEN_CHARACTERS = 16
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
_CODE = re.compile(r"<Code>([\w.-]{1,64})</Code>|\"(?:reason|error)\":\s*\"([\w.-]{1,64})\"")
_MESSAGE = re.compile(r"<Message>([^<\n]+)|\"(?:message|error_description)\":\s*\"([^\"]+)\"")


@dataclass(frozen=True)
class FileBody:
    """A body that is read from a file as it goes out; `told` hears how many bytes have gone.

    The last piece goes out only when the whole is what `sha256` says (see `unchanged`), so a file that changed never
    arrives whole.
    """

    path: Path
    size: int
    sha256: str
    told: Callable[[int], None]
    stamp: Stamp | None = None

    def pieces(self) -> Generator[bytes, None, None]:
        """Yield the pieces; Transient when the file is not what it was."""
        done, piece = 0, b""
        with reading(self.path, self.sha256, self.stamp) as (file, read):
            while done < self.size and (piece := file.read(min(PIECE_BYTES, self.size - done))):
                read.take(piece)
                done += len(piece)
                if done < self.size:
                    yield piece
                    self.told(done)
            if done != self.size or file.read(1) or not read.holds():
                raise changed(self.path, self.sha256)
        yield piece


def changed(path: Path, sha256: str) -> Transient:
    """Return the error for a file that is no longer what was rendered."""
    return Transient(f"{path} is not the file that was rendered ({sha256[:12]}...); nothing was delivered")


@dataclass(frozen=True)
class Ask:
    """One request; what is in `headers` may be a secret."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | FileBody = field(default=b"", repr=False)

    @property
    def size(self) -> int:
        """Bytes of the body."""
        return self.body.size if isinstance(self.body, FileBody) else len(self.body)


class Answer(NamedTuple):
    """A reply that is no refusal; `headers` ignores case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode(errors="replace")

    @property
    def document(self) -> Any:
        """The body as JSON; Permanent when it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            raise Permanent("the answer is not the JSON that it should be; check the endpoint") from None


class Refused(Exception):
    """The server answered with an error that asking again does not change; it never leaves this package."""

    def __init__(self, status: int, code: str, message: str) -> None:
        self.status, self.code, self.message = status, code, message
        super().__init__(f"{status} {code}")


class Client:
    """Sends requests to one server, over TLS unless its address says http://; safe to share between threads."""

    def __init__(self, endpoint: str) -> None:
        import urllib3

        parts = urlsplit(endpoint)
        self.host = parts.netloc
        timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=SILENCE_SECONDS)
        more: dict[str, Any] = {
            "timeout": timeout,
            "maxsize": LANES,
            "retries": False,
            "blocksize": PIECE_BYTES,
        }
        proxy = None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)
        self._pool = urllib3.ProxyManager(proxy, **more) if proxy else urllib3.PoolManager(**more)

    def send(self, make: Callable[[], Ask]) -> Answer:
        """Return the reply; raise Refused, or Transient after the last attempt.

        make: returns the request, signed at this moment. It must be one that may arrive twice.
        """
        import urllib3

        why, wait = "", 0.0
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(max(wait, random.uniform(0.5, 1) * BACKOFF_SECONDS * 2**attempt))  # noqa: S311
            ask = make()
            try:
                reply = self._asked(ask)
            except urllib3.exceptions.SSLError as error:
                raise Permanent(f"{self.host}: its certificate is not trusted here ({error})") from error
            except urllib3.exceptions.HTTPError as error:
                # Its text may hold the address, which may hold a signature.
                why, wait = f"the connection broke ({type(error).__name__})", 0.0
                continue
            if reply.status in _BUSY:
                why, wait = f"it answers {reply.status}", _seconds(reply.headers.get("Retry-After"))
                continue
            return _checked(Answer(reply.status, reply.headers, reply.data), ask)
        raise Transient(f"{self.host}: {why}, {ATTEMPTS} times; is the address right, and the server up?")

    def _asked(self, ask: Ask) -> Any:
        more: dict[str, Any] = {"headers": dict(ask.headers), "redirect": False}
        if not ask.size:
            return self._pool.request(ask.method, ask.url, **more)
        more["headers"]["Content-Length"] = str(ask.size)
        if not isinstance(ask.body, FileBody):
            return self._pool.request(ask.method, ask.url, body=BytesIO(ask.body), **more)
        # What a broken request left of its body has a thread: it ends here, and not when garbage is collected.
        with closing(ask.body.pieces()) as pieces:
            return self._pool.request(ask.method, ask.url, body=pieces, **more)


def code_in(text: str) -> str:
    """Return the code of an error that a store wrote as XML or JSON, else empty."""
    found = _CODE.search(text)
    return (found[1] or found[2]) if found else ""


def refusal(place: str, status: int, code: str, message: str, remedies: Mapping[str, str]) -> LoyaltyError:
    """Return the error for a refusal: with the remedy for its code, else for its status, else with its own words."""
    named = f"{status} {code}".strip()
    remedy = remedies.get(code) or remedies.get(str(status))
    if status in _BUSY:
        return Transient(f"{place}: the store answers {named}")
    told = remedy or message or "the store says no more"
    return Permanent(f"{place}: the store answers {named}: {told}")


def _checked(answer: Answer, ask: Ask) -> Answer:
    # 308 says that an upload goes on; every other redirect would go to another server.
    if answer.status >= 400 or (answer.status >= 300 and answer.status != 308):
        code = answer.headers.get("x-ms-error-code") or code_in(answer.text)
        found = _MESSAGE.search(answer.text)
        message = (found[1] or found[2]) if found else ""
        raise Refused(answer.status, code, _unsaid(message, ask))
    return answer


def _unsaid(text: str, ask: Ask) -> str:
    """Hide what a server quotes of the request's headers and query: tokens and signatures are there."""
    said = [
        *" ".join(ask.headers.values()).split(),
        *(value for _, value in parse_qsl(urlsplit(ask.url).query)),
    ]
    for word in said:
        text = text.replace(word, HIDDEN) if len(word) >= _TOKEN_CHARACTERS else text
    return text


def _seconds(retry_after: str | None) -> float:
    return min(float(retry_after), LONGEST_WAIT_SECONDS) if retry_after and retry_after.isdigit() else 0.0
