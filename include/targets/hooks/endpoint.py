"""Where a connection lets requests go, and what they carry to be let in.

The connection: `host` (https://hooks.example.com, with or without a path), `port`, `login` and `password` (HTTP's
basic authorization). Its extra: `path` (where the address itself is the secret; it may have a query), `token`
(bearer), `headers` (secret ones), `secret` (see `signing`), `ca_file`, `allow_private`, `allow_plain`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, quote, urlsplit

from include.connections import HIDDEN, Connection
from include.errors import BadInput, Problem
from include.targets.hooks import signing

_PORTS = {"https": 443, "http": 80}
# What is shorter stands in other words too.
_HIDDEN_CHARACTERS = 8
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
_HEADER_VALUE = re.compile(r"[!-~]([ -~]{0,4094}[!-~])?")
# What requests say by themselves, and what would change how they are read.
_OURS = frozenset({
    *("host", "connection", "expect", "te", "trailer", "upgrade", "transfer-encoding", "accept-encoding"),
    *("content-length", "content-type", "content-encoding"),
    *("idempotency-key", "webhook-id", "webhook-timestamp", "webhook-signature"),
})  # fmt: skip
_Wrong = Callable[[str, str], None]


@dataclass(frozen=True)
class Endpoint:
    """Where requests go. Only `place` is for people: path and headers may be secrets."""

    scheme: str
    host: str
    port: int
    path: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    keys: tuple[bytes, ...] = field(repr=False)
    allow_private: bool
    ca_file: str | None

    def hide(self, answer: bytes) -> bytes:
        """Return an answer without what we sent to be let in, should the server repeat it."""
        sent = {part for value in self.headers.values() for part in (value, value.rpartition(" ")[2])}
        secret = [each for each in (*sent, self.path) if len(each) >= _HIDDEN_CHARACTERS]
        for each in sorted(secret, key=len, reverse=True):
            answer = answer.replace(each.encode(), HIDDEN.encode())
        return answer

    @property
    def authority(self) -> str:
        """Host and port, as HTTP's Host header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def place(self) -> str:
        """The address for a person."""
        return f"{self.scheme}://{self.authority}"


def endpoint(connection: Connection, path: str = "") -> Endpoint:
    """Return where the connection says that requests go. path: what follows the connection's own path.

    Raises BadInput with all that is wrong with the connection; it quotes nothing secret.
    """
    problems: list[Problem] = []

    def wrong(what: str, right: str) -> None:
        problems.append(Problem(f"connection {connection.name}", what, right, "bad_connection"))

    parts = _address(connection, wrong)
    if parts is None:
        raise BadInput(problems)
    made = Endpoint(
        scheme=parts.scheme,
        host=str(parts.hostname),
        port=connection.port or _port(parts, wrong),
        path=_path(connection, parts, path, wrong),
        headers=_headers(connection, wrong),
        keys=signing.keys_of(connection.extra.get("secret"), lambda right: wrong("secret", right)),
        allow_private=_switch(connection, "allow_private", wrong),
        ca_file=connection.text("ca_file") or None,
    )
    if problems:
        raise BadInput(problems)
    return made


def header_problem(name: str, value: str) -> str:
    """Return what is wrong with a header that a definition or a connection sets; empty when nothing is."""
    if not _HEADER_NAME.fullmatch(name):
        return "a header's name has letters, digits and '-'"
    if name.lower() in _OURS:
        return f"every request sets {name} by itself"
    return "" if _HEADER_VALUE.fullmatch(value) else "a header's value is one line of printable ASCII"


def _address(connection: Connection, wrong: _Wrong) -> SplitResult | None:
    """Return the host's parts; None when nothing more can be said of the connection."""
    whole = "://" in connection.host
    plain = _switch(connection, "allow_plain", wrong)
    try:
        parts = urlsplit(connection.host if whole else f"{connection.schema or 'https'}://{connection.host}")
        host = parts.hostname or ""
    except ValueError:
        host = ""
    if not host or re.search(r"[^A-Za-z0-9._:-]", host) or parts.username is not None or parts.fragment:
        wrong("host", "https:// and the server's name in ASCII; a login belongs to login and password")
        return None
    if parts.scheme not in _PORTS or (parts.scheme == "http" and not plain):
        wrong(
            parts.scheme, "https://; or http:// with allow_plain: true in the extra, where nobody can listen"
        )
        return None
    return parts


def _port(parts: SplitResult, wrong: _Wrong) -> int:
    try:
        return parts.port or _PORTS[parts.scheme]
    except ValueError:
        wrong("port", "a number from 1 to 65535")
        return 0


def _path(connection: Connection, parts: SplitResult, more: str, wrong: _Wrong) -> str:
    own = connection.text("path") or parts.path + (f"?{parts.query}" if parts.query else "")
    if (own and not own.startswith(("/", "?"))) or re.search(r"[\x00-\x20\x7f#\\]", own):
        wrong("path", "begins with / and has no spaces, '#' or '\\'")
    if more and "?" in own:
        wrong("path", "has no query where the definition adds a path of its own")
    joined = own if not more else f"{own.rstrip('/')}/{more.lstrip('/')}"
    return quote(joined if joined.startswith("/") else f"/{joined}", safe="/%:@!$&'()*+,;=~?-._")


def _headers(connection: Connection, wrong: _Wrong) -> dict[str, str]:
    found: dict[str, str] = {}
    if connection.login or connection.password:
        pair = f"{connection.login}:{connection.password}".encode()
        found["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
    if token := connection.text("token"):
        if found:
            wrong("token", "left out where login and password are used")
        found["Authorization"] = f"Bearer {token}"
    own = connection.extra.get("headers") or {}
    if not isinstance(own, Mapping) or not all(isinstance(value, str) for value in own.values()):
        wrong("headers", "names and texts, such as {'X-Api-Key': '...'}")
        return found
    for name, value in {**own, **({"token": token} if token else {})}.items():
        if problem := header_problem(name, value):
            wrong(f"headers: {name}", problem)
    return found | dict(own)


def _switch(connection: Connection, name: str, wrong: _Wrong) -> bool:
    """Return a yes or no of the extra; Airflow's URI form holds it as text."""
    value = connection.extra.get(name, False)
    if value not in (True, False, "true", "false"):
        wrong(name, "true or false")
    return value in (True, "true")
