"""Named connections as Airflow knows them, read without Airflow: where something is, and the secrets to use it.

A connection's secrets never show in its repr. Outside Airflow a connection NAME comes from the environment
variable `AIRFLOW_CONN_NAME`, as JSON or as a URI in Airflow's own form; tasks read Airflow's connections.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, quote_plus, unquote, urlsplit

from include.errors import BadInput, Problem

PREFIX = "AIRFLOW_CONN_"
NAME = r"[a-z0-9][a-z0-9_]{0,62}"
HIDDEN = "***"
MISSING = "missing_connection"
# What a URI's query holds when the extra is not a flat mapping of texts.
_EXTRA_KEY = "__extra__"
# Variables that hold secrets, by how their names begin.
_PRIVATE = (
    PREFIX,
    "AIRFLOW_VAR_",
    "AIRFLOW__",
    "LOYALTY_LEDGER_URL",
    "LOYALTY_LEDGER_WRITE_URL",
    "LOYALTY_STATE_URL",
)
# What a key file says besides its secrets: whose it is, which others must be told to give it rights, and for where.
_SHOWN = frozenset(
    {
        "auth_uri",
        "client_email",
        "client_id",
        "delegate_to",
        "project_id",
        "token_uri",
        "type",
        "universe_domain",
    }
)
# A shorter text than this stands in other words too; hiding it would make errors unreadable.
_SCRUBBED_CHARACTERS = 4
_SCRUBBED_LINE = 12


@dataclass(frozen=True)
class Connection:
    """One named connection; what it does not have is empty."""

    name: str
    conn_type: str = ""
    host: str = ""
    port: int | None = None
    login: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    schema: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def secrets(self) -> frozenset[str]:
        """Every text in it that nobody may see: the password, all texts of the extra, and the lines of keys in them."""
        found = {self.password, *_texts(self.extra)}
        lines = {line for text in found if "\n" in text for line in text.splitlines() if line[:5] != "-----"}
        return frozenset(
            [text for text in found if len(text) >= _SCRUBBED_CHARACTERS]
            + [line for line in lines if len(line) >= _SCRUBBED_LINE]
        )

    def text(self, key: str) -> str:
        """Return a text of the extra, empty when it is not there."""
        value = self.extra.get(key)
        return value if isinstance(value, str) else ""


Resolver = Callable[[str], Connection]


@dataclass(frozen=True)
class Secrets:
    """What the work on one definition may use: the connections that it names, and the folder of public keys."""

    keys: Path = Path()
    connections: Mapping[str, Connection] = field(default_factory=dict)

    def scrub(self, text: str) -> str:
        """Return the text with every secret of the connections hidden, also as URLs and base64 have it."""
        secrets = {secret for connection in self.connections.values() for secret in connection.secrets}
        for secret in sorted(secrets, key=len, reverse=True):
            for form in sorted(_quoted(secret), key=len, reverse=True):
                text = _without_end(text.replace(form, HIDDEN), form)
            for core in _encoded(secret):
                if core in text:
                    text = re.sub(rf"[\w+/=-]*{re.escape(core)}[\w+/=-]*", HIDDEN, text)
                text = _without_end(text, core)
        return text


def from_environment(name: str, environment: Mapping[str, str] = os.environ) -> Connection:
    """Return the connection `name` of the variable AIRFLOW_CONN_<NAME>; BadInput when it is missing or unreadable.

    Errors never quote the variable's value.
    """
    value = environment.get(PREFIX + name.upper(), "")
    if not value:
        raise missing(name)
    try:
        return _from_json(name, value) if value.lstrip().startswith("{") else _from_uri(name, value)
    except ValueError as error:
        right = f"{PREFIX}{name.upper()} must hold a connection as JSON or as a URI: {error}"
        raise BadInput([Problem("connection", name, right, "bad_connection")]) from None


def public_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment for a child process: without the variables that hold connections, databases and keys."""
    return {name: value for name, value in environment.items() if not name.startswith(_PRIVATE)}


def missing(name: str) -> BadInput:
    """Return the error for a connection that nobody has made; it says how to make it."""
    right = (
        f"there is no such connection; make it in Airflow under Admin > Connections with the id {name}, "
        f"or set the environment variable {PREFIX}{name.upper()} to JSON or a URI"
    )
    return BadInput([Problem("connection", name, right, MISSING)])


def resolve(resolver: Resolver, names: Iterable[str], keys: Path) -> tuple[Secrets, list[Problem]]:
    """Return these connections, and a problem for each that is missing or cannot be read."""
    found: dict[str, Connection] = {}
    problems: list[Problem] = []
    for name in sorted(set(names)):
        try:
            found[name] = resolver(name)
        except BadInput as error:
            problems += error.problems
    return Secrets(keys, found), problems


def of(
    name: str,
    *,
    conn_type: str | None,
    host: str | None,
    port: int | None,
    login: str | None,
    password: str | None,
    schema: str | None,
    extra: Any,
) -> Connection:
    """Return a connection from values that may be None; ValueError, without a value in it, for a wrong one."""
    if port is not None and (isinstance(port, bool) or not isinstance(port, int) or not 0 < port < 65_536):
        raise ValueError("the port must be a number from 1 to 65535")
    if isinstance(extra, str):
        try:
            extra = json.loads(extra) if extra.strip() else {}
        except json.JSONDecodeError:
            raise ValueError("the extra must be a JSON object") from None
    if not isinstance(extra or {}, Mapping):
        raise ValueError("the extra must be a JSON object")  # noqa: TRY004 - a value of the input
    texts = (conn_type, host, login, password, schema)
    if any(not isinstance(text, str) for text in texts if text is not None):
        raise ValueError("conn_type, host, login, password and schema must be texts")
    kind, host, login, password, schema = (text or "" for text in texts)
    return Connection(name, kind, host, port, login, password, schema, dict(extra or {}))


def _from_json(name: str, value: str) -> Connection:
    try:
        document = json.loads(value)
    except json.JSONDecodeError as error:
        raise ValueError(f"the JSON is broken at character {error.pos}") from None
    known = ("conn_type", "host", "port", "login", "password", "schema", "extra")
    if set(document) - {*known, "description"}:
        raise ValueError(f"known keys are {', '.join(known)}")
    values = {key: document.get(key) for key in known}
    if isinstance(values["port"], str) and re.fullmatch(r"\d{1,5}", values["port"], re.ASCII):
        values["port"] = int(values["port"])
    return of(name, **values)


def _from_uri(name: str, value: str) -> Connection:
    """Read `type://login:password@host:port/schema?key=value`; the host may have a protocol of its own."""
    kind, separator, rest = value.partition("://")
    if not separator:
        raise ValueError("a URI begins with its type, such as sftp://")
    # `type://https://host` says that the host is reached by https; before it stands no login.
    protocol, doubled, inner = rest.partition("://")
    if doubled and not re.fullmatch(r"[A-Za-z0-9+.-]+", protocol):
        protocol, inner = "", rest
    parts = urlsplit("//" + (inner if doubled else rest))
    host = _host(parts)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    try:
        port = parts.port
    except ValueError:
        raise ValueError("the port must be a number from 1 to 65535") from None
    kind = "postgres" if kind == "postgresql" else kind.lower().replace("-", "_")
    return of(
        name,
        conn_type=kind,
        host=f"{protocol}://{host}" if doubled and protocol and host else host,
        port=port,
        login=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        schema=unquote(parts.path[1:]),
        extra=query.get(_EXTRA_KEY, query),
    )


def _host(parts: SplitResult) -> str:
    """Return the host; one that is a quoted path keeps its letters' case."""
    host = unquote(parts.hostname or "")
    if "/" in host:
        host = unquote(parts.netloc.rpartition("@")[2].partition(":")[0])
    return host


def _without_end(text: str, form: str) -> str:
    """Hide the beginning of a secret that a text ends with which was cut short."""
    ends = (size for size in range(len(form) - 1, _SCRUBBED_LINE - 1, -1) if text.endswith(form[:size]))
    size = next(ends, 0)
    return text[:-size] + HIDDEN if size else text


def _quoted(secret: str) -> set[str]:
    """Return a text as it stands in URLs (paths, queries, forms), JSON (PHP escapes slashes too) and HTML."""
    urls = {quote(secret), quote(secret, safe=""), quote_plus(secret)}
    lower = {re.sub("%..", lambda found: found[0].lower(), each) for each in urls}
    text = json.dumps(secret)[1:-1]
    return {
        secret,
        *urls,
        *lower,
        text,
        text.replace("/", r"\/"),
        escape(secret),
        escape(secret, quote=False),
    }


def _encoded(secret: str) -> Iterable[str]:
    """Yield what base64 makes of the middle of a text, wherever the text begins in what is encoded."""
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + secret.encode()).decode()
        core = whole[4 if before else 0 : -4]
        if len(core) >= _SCRUBBED_LINE:
            yield core


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
        if value.lstrip().startswith("{"):  # a key file kept as text: what is in it is as secret
            with suppress(ValueError):
                yield from _texts(json.loads(value))
    elif isinstance(value, Mapping):
        for name, each in value.items():
            if name not in _SHOWN:
                yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
