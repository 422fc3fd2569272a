"""A mail server on loopback: aiosmtpd with STARTTLS and AUTH, a mailbox, and answers and faults as a test says."""

from __future__ import annotations

import asyncio
import datetime as dt
import email
import email.policy
import ipaddress
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Literal

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from include.connections import Connection

NAME = "their_mail"
LOGIN, PASSWORD = "exports@shop.example", "s3cret-of-the-mail-tests"
SIZE = 20_000_000
Tls = Literal["starttls", "at once", "none"]


@dataclass(frozen=True)
class Mail:
    """One message that the server took for one recipient."""

    sender: str
    recipient: str
    content: bytes

    @property
    def message(self) -> EmailMessage:
        parsed = email.message_from_bytes(self.content, policy=email.policy.SMTP)
        assert isinstance(parsed, EmailMessage)
        return parsed

    @property
    def attached(self) -> dict[str, bytes]:
        return {
            str(part.get_filename()): part.get_payload(decode=True)
            for part in self.message.iter_attachments()
        }

    def body(self, kind: str = "html") -> str:
        part = self.message.get_body((kind,))
        assert part is not None
        return part.get_content()


@dataclass
class MailServer:
    """A running server. mails: what it took. answers: what it says instead, by command and address ("" for any); each
    is said once, the last for ever. losing: of whom it takes the mail and closes without an answer; silent: of whom
    it takes the mail and says nothing any more. sessions: how many logged in.

    Commands: GREETING, AUTH, MAIL, RCPT, DATA (before the message), END (after it).
    """

    port: int
    authority: Path
    tls: Tls
    mails: list[Mail] = field(default_factory=list)
    answers: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    losing: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)
    greeting_seconds: float = 0
    sessions: int = 0

    def connection(self, *, port: int | None = None, password: str = PASSWORD, **extra: Any) -> Connection:
        """As Airflow has it; None takes a key of the extra out."""
        default: dict[str, Any] = {"ca_file": str(self.authority), "from_email": "exports@shop.example"}
        default |= {"disable_ssl": False} if self.tls == "at once" else {}
        chosen = {key: value for key, value in {**default, **extra}.items() if value is not None}
        login = LOGIN if password else ""
        return Connection(NAME, "smtp", "127.0.0.1", port or self.port, login, password, extra=chosen)

    def variable(self) -> str:
        """The connection as the value of an AIRFLOW_CONN_ variable."""
        known = self.connection()
        told = {"host": known.host, "port": known.port, "login": known.login, "password": known.password}
        return json.dumps({"conn_type": known.conn_type, **told, "extra": dict(known.extra)})

    def of(self, recipient: str) -> list[Mail]:
        return [mail for mail in self.mails if mail.recipient == recipient]

    def names(self) -> list[str]:
        return sorted(name for mail in self.mails for name in mail.attached)

    def read(self, name: str) -> bytes:
        return next(mail.attached[name] for mail in self.mails if name in mail.attached)

    def say(self, command: str, *answers: str, to: str = "") -> None:
        self.answers[command, to] = list(answers)

    def answer(self, command: str, address: str = "") -> str | None:
        said = self.answers.get((command, address)) or self.answers.get((command, ""))
        if not said:
            return None
        return said.pop(0) if len(said) > 1 else said[0]


class _Handler:
    def __init__(self, server: MailServer) -> None:
        self.server = server

    async def handle_MAIL(self, _: SMTP, __: Session, envelope: Envelope, address: str, options: Any) -> str:
        if said := self.server.answer("MAIL", address):
            return said
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, _: SMTP, __: Session, envelope: Envelope, address: str, options: Any) -> str:
        if said := self.server.answer("RCPT", address):
            return said
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, smtp: SMTP, _: Session, envelope: Envelope) -> str:
        for recipient in envelope.rcpt_tos:
            if said := self.server.answer("END", recipient):
                return said
            content = envelope.content
            assert isinstance(content, bytes)
            self.server.mails.append(Mail(str(envelope.mail_from), recipient, content))
            if recipient in self.server.losing:
                assert smtp.transport is not None
                smtp.transport.abort()
            if recipient in self.server.silent:
                await asyncio.sleep(3600)
        return "250 kept"


class _Smtp(SMTP):
    scripted: MailServer

    async def _handle_client(self) -> None:
        # Not after STARTTLS, whose session has no greeting of its own.
        if not self._over_ssl or self.scripted.tls == "at once":
            await asyncio.sleep(self.scripted.greeting_seconds)
        await super()._handle_client()

    async def push(self, status: Any) -> None:
        text = status.decode() if isinstance(status, bytes) else status
        if text.startswith("220 ") and "ready" not in text.lower():
            text = self.scripted.answer("GREETING") or text
        await super().push(text)

    async def smtp_DATA(self, arg: str) -> None:
        recipients = self.envelope.rcpt_tos if self.envelope else []
        if said := self.scripted.answer("DATA", recipients[0] if recipients else ""):
            await self.push(said)
            return
        await super().smtp_DATA(arg)


@contextmanager
def mail_server(folder: Path, tls: Tls = "starttls", *, size: int = SIZE) -> Iterator[MailServer]:
    """Serve on a free port; `folder` gets the certificate, of an authority of its own, for 127.0.0.1 alone."""
    context = certified(folder)
    server = MailServer(0, folder / "authority.pem", tls)

    def authenticate(_: Any, __: Any, ___: Any, ____: str, data: Any) -> AuthResult:
        if said := server.answer("AUTH"):
            return AuthResult(success=False, handled=False, message=said)
        assert isinstance(data, LoginPassword)
        is_right = (data.login.decode(), data.password.decode()) == (LOGIN, PASSWORD)
        server.sessions += is_right
        return AuthResult(success=is_right, handled=False)

    def made() -> SMTP:
        smtp = _Smtp(
            _Handler(server),
            hostname="mail.test",
            data_size_limit=size,
            authenticator=authenticate,
            auth_required=tls != "none",
            auth_require_tls=tls == "starttls",
            require_starttls=tls == "starttls",
            tls_context=context if tls == "starttls" else None,
            loop=loop,
        )
        smtp.scripted = server
        return smtp

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    listening = loop.create_server(made, "127.0.0.1", 0, ssl=context if tls == "at once" else None)
    door = asyncio.run_coroutine_threadsafe(listening, loop).result(10)
    server.port = door.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(_ended(door), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _ended(door: asyncio.Server) -> None:
    door.close()
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def certified(folder: Path) -> ssl.SSLContext:
    """A server's context with a certificate for 127.0.0.1 of an authority that is written to `folder`."""
    now = dt.datetime.now(dt.UTC)
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())

    def certificate(
        name: str, of: Any, by: str, extension: x509.ExtensionType, *, is_authority: bool
    ) -> bytes:
        names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each)]) for each in (name, by)]
        made = (
            x509.CertificateBuilder()
            .subject_name(names[0])
            .issuer_name(names[1])
            .public_key(of.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=2))
            .add_extension(extension, critical=is_authority)
        )
        return made.sign(authority_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    own = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    basic = x509.BasicConstraints(ca=True, path_length=None)
    (folder / "authority.pem").write_bytes(
        certificate("tests", authority_key, "tests", basic, is_authority=True)
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.pem").write_bytes(private + certificate("mail", key, "tests", own, is_authority=False))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "server.pem")
    return context
