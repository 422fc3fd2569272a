"""No secret is in any log, file, database row, audit entry, manifest or error: not when deliveries go well, and not
when every kind of target fails at a server that quotes all that it was told."""

from __future__ import annotations

import base64
import json
import logging
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pysequoia
import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from include import kinds, pipeline, targets
from include.connections import Connection
from include.definitions.model import ExportDefinition
from include.errors import LoyaltyError, Transient
from include.pipeline import Context
from include.settings import Settings
from include.state.audit import Action
from tests.formats.encryption.conftest import end_agent, gpg
from tests.servers.openssh import make_key, sshd
from tests.servers.parrot import Parrot, parrot
from tests.servers.receiver import SECRET, receiver
from tests.servers.smtp import PASSWORD, mail_server
from tests.watch import Watch, canary

pytestmark = [pytest.mark.slow, pytest.mark.servers]
AT = datetime(2026, 3, 2, 5, tzinfo=UTC)


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture(params=["sqlite", "postgres"])
def context(
    request: pytest.FixtureRequest, ledger_url: str, settings_for: Callable[..., Settings], watch: Watch
) -> Context:
    """A context whose state database has a password."""
    settings = settings_for(ledger_url)
    if request.param == "postgres":
        url = sa.make_url(request.getfixturevalue("postgres_ledger")).set(password=watch.secret("state"))
        settings = replace(settings, state_url=url.render_as_string(hide_password=False))
    return Context(settings)


def rsa_key() -> str:
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, *form).decode()


def locked_key(passphrase: str) -> str:
    """A private OpenPGP key that opens with the passphrase, as gpg exports it."""
    with tempfile.TemporaryDirectory(prefix="gpg-", dir="/tmp") as name:
        home = Path(name)
        try:
            gpg(home, "--quick-gen-key", "exports@x.org", "ed25519", "sign", "never", passphrase=passphrase)
            return gpg(home, "--armor", "--export-secret-keys", passphrase=passphrase).stdout.decode()
        finally:
            end_agent(home)


def google(watch: Watch, name: str, server: Parrot) -> dict[str, Any]:
    key = {
        "type": "service_account",
        "project_id": "p",
        "private_key_id": "1",
        "private_key": watch.key(name, rsa_key()),
        "client_email": "exports@p.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": f"{server.url}/token",
    }
    return {"keyfile_dict": json.dumps(key), "endpoint_url": server.url}


def failing(watch: Watch, server: Parrot, key: str) -> dict[str, tuple[dict[str, Any], Connection]]:
    """By kind: options, and the connection, which leads to the parrot."""
    secret, here = watch.secret, {"host": "127.0.0.1", "port": server.port}
    azure = base64.b64encode(secret("azure").encode()).decode()
    plain = {"allow_private": True, "allow_plain": True}
    return {
        "s3": (
            {"bucket": "exports"},
            Connection("s3", "aws", login="AKIA1", password=secret("s3"), extra={
                "endpoint_url": server.url, "aws_session_token": secret("s3 session"),
            }),
        ),
        "gcs": ({"bucket": "exports"}, Connection("gcs", extra=google(watch, "gcs", server))),
        "azure_blob": (
            {"container": "exports"},
            Connection("azure_blob", "wasb", server.url, login="account", password=azure),
        ),
        "webhook": (
            {"path": "exports"},
            Connection("webhook", "http", f"{server.url.rpartition(':')[0]}", server.port, "us", secret("webhook"),
                extra=plain | {"secret": SECRET, "headers": {"X-Api-Key": secret("header")}}),
        ),
        "email": (
            {"to": ["ann@shop.example"]},
            Connection("email", "smtp", **here, login="us@shop.example", password=secret("email"),
                extra={"disable_tls": True, "from_email": "us@shop.example"}),
        ),
        "sftp": (
            {},
            Connection("sftp", "sftp", **here, login="us", password=secret("sftp"), extra={
                "private_key": watch.key("ssh", key), "private_key_passphrase": secret("ssh phrase"),
                "host_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ6Sx4X0C9kz3pX6Qd3VmD8k5Xr5v3qkI4F2pKZ5q1YB",
            }),
        ),
        "google_sheets": (
            {"spreadsheet": "1" * 44},
            Connection("google_sheets", extra=google(watch, "sheets", server)),
        ),
    }  # fmt: skip


def resolving(known: dict[str, Connection]) -> Callable[[str], Connection]:
    return lambda name: known[name]


def protected(watch: Watch, known: dict[str, Connection]) -> dict[str, Any]:
    """Keys of a definition that use every other secret: pseudonyms, hashes, encryption, signatures."""
    known["salt"] = Connection("salt", password=watch.secret("salt"))
    known["pseudonyms"] = Connection("pseudonyms", password=watch.secret("pseudonyms"))
    key = watch.key("openpgp", locked_key(watch.secret("passphrase")))
    known["signing"] = Connection("signing", password=canary("passphrase"), extra={"private_key": key})
    known["partner"] = Connection(
        "partner", extra={"public_key": str(pysequoia.Tsk.generate("partner@x.org").extract_certificate())}
    )
    fields = {"customer_id": "pseudonym", "holder_id": "pseudonym", "email": "hash"}
    sealing = {"recipients": ["connection:partner"], "sign_with": "signing"}
    return {
        "sign": "signing",
        "privacy": {"fields": fields, "salt": "salt", "pseudonym_key": "pseudonyms"},
        "file": {"encryption": {"kind": "openpgp", "options": sealing}},
    }


def told_by(error: BaseException) -> str:
    """All that whoever logs an error can say of it."""
    return "".join(traceback.format_exception(error)) + repr(error) + repr(error.args) + repr(vars(error))


def rows_of(context: Context) -> str:
    """Every value of every row of the state database."""
    found = []
    with context.state.database.read() as connection:
        for name in sa.inspect(connection).get_table_names():
            found += [repr(tuple(row)) for row in connection.execute(sa.text(f"SELECT * FROM {name}"))]
    assert len(found) > 10
    return "\n".join(found)


def files_of(folder: Path, *, without: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    for path in folder.rglob("*"):
        if path.is_file() and not any(name in path.parts for name in without):
            yield str(path), path.read_bytes().decode("latin-1")


def test_every_kind_fails_without_a_word_of_its_secrets(
    context: Context, define: Callable[..., ExportDefinition], watch: Watch, tmp_path: Path, inline: None,
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr("time.sleep", lambda _: None)
    (tmp_path / "keys").mkdir()
    key = make_key(tmp_path / "keys" / "id", "-t", "ed25519", "-N", canary("ssh phrase")).read_text()
    with parrot(watch.secret("token")) as server:
        wanted = failing(watch, server, key)
        assert {"folder", *wanted} == set(kinds.names(targets))  # a new kind needs its canary
        known = {name: connection for name, (_, connection) in wanted.items()}
        keys = protected(watch, known)
        context = replace(context, connections=resolving(known))
        places = [
            {"kind": kind, "options": {"connection": kind, **options}}
            for kind, (options, _) in wanted.items()
        ]
        definition = define(**keys, targets=places)
        run = pipeline.pin(context, definition, occurrence=AT).run_key
        pipeline.snapshot(context, run)
        pipeline.render(context, run)
        errors: list[BaseException] = []
        for index in range(len(places)):
            with pytest.raises(LoyaltyError) as failed:
                pipeline.deliver(context, run, index)
            errors.append(failed.value)
        with pytest.raises(LoyaltyError) as settled:
            pipeline.settle(context, run)
        heard = "\n".join(server.heard)
    quoted = {name for name in watch.seen_in(heard) if " line " not in name}
    assert quoted >= {"s3 session", "webhook", "header", "email", "token"}  # it did hear them, and said so
    for place, error in zip(places, errors, strict=True):
        assert watch.seen_in(told_by(error)) == [], place["kind"]
    assert watch.seen_in(told_by(settled.value)) == []
    out, err = capfd.readouterr()
    assert watch.seen_in(out + err) == []
    assert watch.seen_in(caplog.text) == []
    assert watch.seen_in(rows_of(context)) == []
    looked = dict(files_of(tmp_path, without=("keys",)))
    assert len(looked) > 5
    assert [(path, watch.seen_in(text)) for path, text in looked.items() if watch.seen_in(text)] == []
    assert len(context.state.audit.newest(action=Action.DELIVERY_FAILED)) == len(places)


def test_what_goes_well_says_nothing_either(
    context: Context, define: Callable[..., ExportDefinition], watch: Watch, tmp_path: Path,
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Stages in processes of their own, deliveries to an SFTP server, a mailbox, a webhook and a folder."""
    caplog.set_level(logging.DEBUG)
    (tmp_path / "mail").mkdir()
    with ExitStack() as servers:
        ssh = servers.enter_context(sshd())
        (ssh.folder / "there").mkdir()
        there = ssh.open_up(ssh.folder / "there")
        mail = servers.enter_context(mail_server(tmp_path / "mail"))
        hook = servers.enter_context(receiver())
        known = {
            "sftp": ssh.connection(),
            "email": mail.connection(password=watch.secret("mail", PASSWORD)),
            "webhook": hook.connection(secret=watch.secret("hook", SECRET), token=watch.secret("hook token")),
        }
        watch.key("ssh", known["sftp"].text("private_key"))
        keys = protected(watch, known)
        context = replace(context, connections=resolving(known))
        options = {
            "sftp": {"folder": str(there)},
            "email": {"to": ["ann@shop.example"]},
            "webhook": {},
        }
        places = [{"kind": kind, "options": {"connection": kind, **some}} for kind, some in options.items()]
        places.append({"kind": "folder", "options": {"folder": str(tmp_path / "delivered")}})
        run = pipeline.pin(context, define(**keys, targets=places), occurrence=AT).run_key
        pipeline.snapshot(context, run)
        pipeline.render(context, run)
        receipts = [pipeline.deliver(context, run, index) for index in range(len(places))]
        summary = pipeline.settle(context, run)
        messages = "".join(each.content.decode("latin-1") for each in mail.mails)
        bodies = "".join(each.body.decode("latin-1") for each in hook.requests)
        looked = dict(files_of(there))
        assert len(looked) == 3
    out, err = capfd.readouterr()
    assert summary["status"] == "done"
    assert watch.seen_in(json.dumps([receipts, summary]) + messages + bodies + out + err + caplog.text) == []
    assert watch.seen_in(rows_of(context)) == []
    looked |= files_of(tmp_path, without=("keys", "mail"))
    assert [(path, watch.seen_in(text)) for path, text in looked.items() if watch.seen_in(text)] == []


@pytest.mark.parametrize("url", [
    "postgresql://us:{}@127.0.0.1:1/loyalty",
    "postgresql://us:{}@127.0.0.1:1/loyalty?sslmode=nonsense",
    "mysql://us:{}@127.0.0.1/loyalty",
    "postgresql://us:{}@[127.0.0.1/loyalty",
    "us:{}@nothing",
])  # fmt: skip
def test_the_state_database_is_missing_and_its_password_is_not_told(
    url: str, ledger_url: str, settings_for: Callable[..., Settings], watch: Watch
) -> None:
    secret = quote(watch.secret("state"), safe="")
    settings = replace(settings_for(ledger_url), state_url=url.format(secret))
    with pytest.raises(LoyaltyError) as failed:
        Context(settings).state.audit.head()
    assert watch.seen_in(told_by(failed.value)) == []
    assert isinstance(failed.value, Transient) == url.startswith("postgresql")


def test_an_error_of_the_database_does_not_quote_what_was_to_be_written(
    context: Context, watch: Watch
) -> None:
    statement = sa.text("INSERT INTO loyalty_leases (name, owner) VALUES (:name, :owner)")
    with pytest.raises(Exception) as failed, context.state.database.write() as connection:
        connection.execute(statement, {"name": "x", "owner": watch.secret("owner")})
    told = "".join(traceback.format_exception(failed.value))
    assert "loyalty_leases" in told
    # PostgreSQL's own detail quotes the row; what SQLAlchemy adds, the parameters, is hidden.
    assert "[parameters: " not in told.replace("[SQL parameters hidden", "")
