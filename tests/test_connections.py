"""Rule: connections are read as Airflow reads them, and their secrets show nowhere."""

from __future__ import annotations

import base64
import json
import pickle
import re
from html import escape
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from airflow.sdk import Connection as AirflowConnection
from hypothesis import given
from hypothesis import strategies as st

from include import connections
from include.connections import Connection, Secrets, from_environment, public_environment
from include.errors import BadInput

CANARY = "canary-7f3a"
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
NAMES = st.from_regex(r"[a-z][a-z0-9.-]{0,10}[a-z0-9]", fullmatch=True)


def read(value: str) -> Connection:
    return from_environment("acme", {"AIRFLOW_CONN_ACME": value})


def test_json_gives_every_part():
    document = {
        "conn_type": "sftp", "host": "files.acme.com", "port": 2222, "login": "me", "password": "p w",
        "schema": "in", "extra": {"private_key": "KEY"}, "description": "their server",
    }  # fmt: skip
    found = read(json.dumps(document))
    assert found == Connection(
        "acme", "sftp", "files.acme.com", 2222, "me", "p w", "in", {"private_key": "KEY"}
    )
    assert read(json.dumps(document | {"port": "2222", "extra": '{"private_key": "KEY"}'})) == found


@given(
    st.sampled_from(["sftp", "postgresql", "google-cloud-platform", "http"]),
    NAMES, TEXT, TEXT, TEXT, st.none() | st.integers(1, 65_535), st.dictionaries(NAMES, TEXT, max_size=3),
)  # fmt: skip
def test_a_uri_is_read_as_airflow_reads_it(kind, host, login, password, schema, port, extra):
    def q(text: str) -> str:
        return quote(text, safe="")

    number = f":{port}" if port else ""
    query = "&".join(f"{q(key)}={q(value)}" for key, value in extra.items())
    uri = f"{kind}://{q(login)}:{q(password)}@{host}{number}/{q(schema)}" + (f"?{query}" if query else "")
    theirs, ours = AirflowConnection.from_uri(uri, conn_id="acme"), read(uri)
    assert ours.conn_type == theirs.conn_type
    assert (ours.host, ours.port) == (theirs.host or "", theirs.port)
    assert (ours.login, ours.password) == (theirs.login or "", theirs.password or "")
    assert ours.schema == (theirs.schema or "")
    assert dict(ours.extra) == (theirs.extra_dejson or {})


@pytest.mark.parametrize(
    "uri",
    [
        "http://https://api.acme.com/v1",
        "http://https%3A%2F%2Fapi.acme.com",
        "sqlite://%2FData%2Fledger.sqlite",
        'sftp://h?__extra__={"key": {"a": 1}}',
    ],
)
def test_odd_uris_are_read_as_airflow_reads_them(uri):
    theirs, ours = AirflowConnection.from_uri(uri, conn_id="acme"), read(uri)
    assert (ours.host, ours.schema, dict(ours.extra)) == (
        theirs.host or "", theirs.schema or "", theirs.extra_dejson or {},
    )  # fmt: skip


@pytest.mark.parametrize(
    "value",
    [
        f'{{"password": "{CANARY}", ',
        f'{{"password": "{CANARY}", "passwort": 1}}',
        f'{{"password": "{CANARY}", "port": 0}}',
        f'{{"password": "{CANARY}", "extra": "[1"}}',
        f'{{"password": "{CANARY}", "extra": [1]}}',
        f'{{"password": "{CANARY}", "login": 5}}',
        f"no-scheme:{CANARY}",
        f"sftp://u:{CANARY}@h:99999999",
    ],
)
def test_what_cannot_be_read_is_refused_without_being_shown(value):
    with pytest.raises(BadInput, match="AIRFLOW_CONN_ACME must hold a connection") as refused:
        read(value)
    assert CANARY not in repr(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__


def test_missing_ones_are_told_all_at_once_with_the_remedy():
    held = {"AIRFLOW_CONN_ZIP": "generic://:secret@"}
    secrets, problems = connections.resolve(
        lambda name: from_environment(name, held), ["salt", "zip", "acme"], Path()
    )
    assert set(secrets.connections) == {"zip"}
    assert [problem.value for problem in problems] == ["acme", "salt"]
    assert "Admin > Connections" in problems[1].right
    assert "AIRFLOW_CONN_SALT" in problems[1].right


def test_secrets_are_in_no_repr_and_survive_the_pipe():
    secret = Connection("acme", "sftp", "h", 22, "me", CANARY, extra={"a": [{"b": CANARY + "2"}]})
    secrets = Secrets(Path(), {"acme": secret})
    assert CANARY not in repr(secrets) + str(secrets) + f"{secret!r:>5}"
    assert pickle.loads(pickle.dumps(secrets)) == secrets
    assert secrets.scrub(f"login {CANARY}2 and {CANARY} failed") == "login *** and *** failed"


def test_children_inherit_no_secret():
    environment = {
        "PATH": "/bin", "LOYALTY_HOME": "/x", "AWS_REGION": "eu", "AIRFLOW_CONN_ACME": CANARY,
        "AIRFLOW__CORE__FERNET_KEY": CANARY, "AIRFLOW_VAR_X": CANARY, "LOYALTY_LEDGER_URL": CANARY,
        "LOYALTY_STATE_URL": CANARY,
    }  # fmt: skip
    assert public_environment(environment) == {"PATH": "/bin", "LOYALTY_HOME": "/x", "AWS_REGION": "eu"}


SECRET = 'Kx81/zQ v7+Wd=\n"ü never seen'


@pytest.mark.parametrize("before", ["", "u", "us:", "\0us\0"])
def test_a_secret_is_hidden_in_every_form_in_which_servers_quote_it(before):
    """In a URL, in JSON, and in base64 wherever it begins there, as Basic and AUTH PLAIN have it."""
    secrets = Secrets(Path(), {"acme": Connection("acme", password=SECRET)})
    encoded = base64.b64encode(f"{before}{SECRET}".encode()).decode()
    told = f"400: {quote(SECRET, safe='')} and {json.dumps({'p': SECRET}, ensure_ascii=True)} and Basic {encoded}!"
    assert secrets.scrub(told) == '400: *** and {"p": "***"} and Basic ***!'


ODD = SECRET + "&<'"


@pytest.mark.parametrize(
    "quoted",
    [
        quote(ODD),
        quote_plus(ODD),
        re.sub("%..", lambda found: found[0].lower(), quote(ODD, safe="")),
        json.dumps(ODD)[1:-1].replace("/", r"\/"),
        escape(ODD),
        escape(ODD, quote=False),
    ],
    ids=["in a path", "in a form", "lower-case %2f", "PHP's JSON", "HTML", "text of HTML"],
)
def test_a_secret_is_hidden_as_other_programs_quote_it(quoted):
    secrets = Secrets(Path(), {"acme": Connection("acme", password=ODD)})
    assert secrets.scrub(f"no: {quoted}!") == "no: ***!"


@pytest.mark.parametrize("size", range(12, len(SECRET)))
def test_a_text_that_was_cut_within_a_secret_ends_before_it(size):
    secrets = Secrets(Path(), {"acme": Connection("acme", password=SECRET)})
    assert secrets.scrub(f"you said {SECRET[:size]}") == "you said ***"
    assert secrets.scrub(f"you said {SECRET[:8]}") == f"you said {SECRET[:8]}"


def test_a_line_of_a_private_key_is_a_secret_and_its_first_line_is_none():
    key = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\nshort\n-----END PRIVATE KEY-----\n"
    secrets = Secrets(Path(), {"acme": Connection("acme", extra={"private_key": key})})
    told = "line 2 of -----BEGIN PRIVATE KEY----- is odd: MIIEvQIBADANBgkqhkiG9w0B, short"
    assert secrets.scrub(told) == "line 2 of -----BEGIN PRIVATE KEY----- is odd: ***, short"
