"""A session with a mail server: TLS that is verified, a login, and one transaction for each recipient.

One transaction for each, so that one recipient's refusal, or a lost reply, says nothing about the others, and each can
get a text of their own. The connection is as Airflow's SMTP connections are: host, port, login, password, and in the
extra `from_email`, `disable_ssl`, `disable_tls`, `timeout`, `auth_type: oauth2` with `access_token`; besides
`ca_file` for an authority of one's own and `allow_plain` for a server without TLS that is not on this machine.
"""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from include.connections import Connection
from include.definitions.addresses import is_address
from include.errors import Permanent, Transient
from include.targets.protocol import Answer, Recipient

PORT = 587
TLS_PORT = 465
PLAIN_PORT = 25
# RFC 5321 section 4.5.3.2.6: after the message's end a server may take ten minutes, and giving up means doubt.
END_SECONDS = 600.0
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_PIECE_BYTES = 1 << 16
_SAID_CHARACTERS = 300
_END = b".\r\n"


class Lost(Transient):
    """The connection ended, or the server was silent for too long, before any message was handed over."""


class TooLarge(Permanent):
    """The server takes no message of this size."""


class Session:
    """A session in which messages can be sent. `max_bytes`: the largest message, None where the server names none."""

    def __init__(self, smtp: smtplib.SMTP, where: str, login: str) -> None:
        self._smtp, self._where, self._login = smtp, where, login
        size = smtp.esmtp_features.get("size", "")
        self.max_bytes = int(size) if re.fullmatch(r"[1-9]\d{0,18}", size, re.ASCII) else None

    @property
    def alive(self) -> bool:
        """Whether another message can be sent; when not, open another session."""
        return self._smtp.sock is not None

    def send(
        self, sender: str, recipient: str, message: bytes, sending: Callable[[], None] = lambda: None
    ) -> Recipient:
        """Send a message to one recipient and return what became of it; its lines end with CR LF.

        ACCEPTED: the server has it; REFUSED: never (5xx); LATER: not now (4xx, or the connection was lost before the
        message's end was sent); UNKNOWN: the connection was lost after that. `sending` is called when only the end
        is missing: until then the server has nothing, and if it raises the server gets nothing.
        Raises Permanent when the server refuses the sender, TooLarge when it refuses the size.
        """
        if self.max_bytes is not None and len(message) > self.max_bytes:
            raise TooLarge(f"{self._where}: takes {self.max_bytes:,} bytes, the message has {len(message):,}")
        try:
            refused = self._opened(sender, recipient, len(message)) or self._written(message)
        except (OSError, smtplib.SMTPException) as error:
            self._smtp.close()
            return Recipient(address=recipient, answer=Answer.LATER, said=self._lost(error))
        if refused is not None:
            return self._answer(recipient, *refused)
        try:
            sending()
        except BaseException:
            self._smtp.close()  # without its end, the server forgets the message
            raise
        return self._ended(recipient)

    def probe(self, sender: str, recipient: str) -> Recipient:
        """Ask whether the server takes mail from this sender for this recipient; no message is sent.

        Raises Permanent when it refuses the sender, Lost when the connection ends.
        """
        try:
            refused = self._opened(sender, recipient, 0)
            if refused is None:
                self._reset()
        except (OSError, smtplib.SMTPException) as error:
            self._smtp.close()
            raise Lost(self._lost(error)) from error
        return self._answer(recipient, *(refused or (250, b"")))

    def _opened(self, sender: str, recipient: str, size: int) -> tuple[int, bytes] | None:
        """Name sender and recipient; return the answer that refuses the recipient now or for ever, if any."""
        size_option = [f"SIZE={size}"] if size and self._smtp.has_extn("size") else []
        code, said = self._smtp.mail(sender, size_option)
        if code // 100 == 2:
            code, said = self._smtp.rcpt(recipient)
            if code // 100 == 2:
                return None
        elif code == 552:
            raise TooLarge(f"{self._where}: {_words(code, said)}")
        elif code // 100 == 5:
            raise Permanent(
                f"{self._where} takes no mail from {sender} (login {self._login or 'none'}): {_words(code, said)}. "
                "Set `sender`, or from_email of the connection, to an address that this login may use"
            )
        self._reset(closing=code == 421)
        return code, said

    def _written(self, message: bytes) -> tuple[int, bytes] | None:
        """Send all of a message but its end; return the server's answer where it takes none."""
        code, said = self._smtp.docmd("DATA")
        if code != 354:
            self._reset(closing=code == 421)
            return code, said
        data = re.sub(rb"(?m)^\.", b"..", message)
        data += b"" if data.endswith(b"\r\n") else b"\r\n"
        assert self._smtp.sock is not None
        try:
            for start in range(0, len(data), _PIECE_BYTES):
                self._smtp.sock.sendall(data[start : start + _PIECE_BYTES])
        except OSError:
            code, said = self._smtp.getreply()  # what it said before it stopped listening
            self._smtp.close()
            return (code, said) if code // 100 in (4, 5) else (421, said)
        return None

    def _ended(self, recipient: str) -> Recipient:
        """Send the message's end; from here on only an answer tells what became of it."""
        sock = self._smtp.sock
        assert sock is not None
        seconds = sock.gettimeout()
        try:
            sock.sendall(_END)
            sock.settimeout(max(END_SECONDS, seconds or 0))
            code, said = self._smtp.getreply()
            sock.settimeout(seconds)
        except (OSError, smtplib.SMTPException) as error:
            self._smtp.close()
            return Recipient(address=recipient, answer=Answer.UNKNOWN, said=self._lost(error))
        if code // 100 not in (2, 4, 5):
            self._smtp.close()
            return Recipient(address=recipient, answer=Answer.UNKNOWN, said=_words(code, said))
        if code == 421:
            self._smtp.close()
        return self._answer(recipient, code, said)

    def _reset(self, *, closing: bool = False) -> None:
        if closing or self._smtp.rset()[0] // 100 != 2:
            self._smtp.close()

    def _answer(self, recipient: str, code: int, said: bytes) -> Recipient:
        answer = {2: Answer.ACCEPTED, 5: Answer.REFUSED}.get(code // 100, Answer.LATER)
        return Recipient(address=recipient, answer=answer, said=_words(code, said))

    def _lost(self, error: Exception) -> str:
        return f"{self._where}: the connection was lost ({error or type(error).__name__})"


@contextmanager
def session(connection: Connection, seconds: float | None = None) -> Iterator[Session]:
    """Open a session with the connection's server, and end it. seconds: how long it may be silent.

    Raises Permanent for what somebody must change (host, TLS, login), Transient for the rest.
    """
    where = address(connection)
    if not connection.host:
        raise Permanent(f"connection {connection.name}: give its host")
    if connection.text("ssl_context") == "none":
        raise Permanent(
            f"connection {connection.name}: ssl_context none takes any certificate; name your authority as ca_file"
        )
    is_plain = _is_plain(connection)
    smtp = _greeted(connection, where, seconds or _timeout(connection))
    try:
        with _named(where):
            _secured(smtp, connection, where, is_plain=is_plain)
            _logged_in(smtp, connection, where)
        yield Session(smtp, where, connection.login)
        with suppress(OSError, smtplib.SMTPException):
            if smtp.sock is not None:
                smtp.quit()
    finally:
        smtp.close()


def address(connection: Connection) -> str:
    """Return the server as a person writes it."""
    return f"{connection.host}:{_port(connection)}"


def sender_of(connection: Connection, sender: str | None = None) -> str:
    """Return who sends: `sender`, else the connection's from_email, else its login where that is an address.

    Raises Permanent when there is none.
    """
    found = sender or connection.text("from_email") or connection.login
    if "@" not in found:
        raise Permanent(f"connection {connection.name}: give `sender`, or from_email in its extra")
    if not is_address(found):
        raise Permanent(
            f"connection {connection.name}: {found} is no address alone; from_email (or the login) must be like "
            "exports@example.com, without a name before it"
        )
    return found


def _port(connection: Connection) -> int:
    return connection.port or (PLAIN_PORT if _is_plain(connection) else PORT)


def _is_plain(connection: Connection) -> bool:
    """Whether there is no TLS; Permanent when that would let others on the network read along."""
    if not _true(connection, "disable_tls") or connection.port == TLS_PORT:
        return False
    if connection.host not in _LOOPBACK and not _true(connection, "allow_plain"):
        raise Permanent(
            f"connection {connection.name}: disable_tls would send the mail readable over the network to "
            f"{connection.host}; take it out, or set allow_plain: true where nobody can listen"
        )
    return True


def _true(connection: Connection, key: str) -> bool:
    return str(connection.extra.get(key, "")).lower() in ("true", "1", "yes", "on")


def _timeout(connection: Connection) -> float:
    try:
        return float(connection.extra.get("timeout") or 60)
    except (TypeError, ValueError):
        raise Permanent(f"connection {connection.name}: timeout must be a number of seconds") from None


def _context(connection: Connection) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=connection.text("ca_file") or None)
    except OSError as error:
        raise Permanent(f"connection {connection.name}: ca_file cannot be read ({error.strerror})") from error


def _greeted(connection: Connection, where: str, seconds: float) -> smtplib.SMTP:
    """Connect, by TLS at once on port 465, and wait for the greeting."""
    port = _port(connection)
    smtp = (
        smtplib.SMTP_SSL(local_hostname="localhost", timeout=seconds, context=_context(connection))
        if _tls_at_once(connection, port)
        else smtplib.SMTP(local_hostname="localhost", timeout=seconds)
    )
    # Given a host, smtplib's constructor would connect; without one it must be told for the certificate's check.
    smtp._host = connection.host  # type: ignore[attr-defined]  # noqa: SLF001
    try:
        with _named(where, connecting=True):
            _check_greeting(*smtp.connect(connection.host, port))
            assert smtp.sock is not None
            smtp.local_hostname = _own_name(smtp.sock)
    except BaseException:
        smtp.close()
        raise
    return smtp


def _tls_at_once(connection: Connection, port: int) -> bool:
    """Whether TLS comes before the greeting: on its own port, or where the connection says so of an unusual one."""
    said = "disable_ssl" in connection.extra and not _true(connection, "disable_ssl")
    return port == TLS_PORT or (said and port not in (PORT, PLAIN_PORT))


def _check_greeting(code: int, said: bytes) -> None:
    if code != 220:
        raise smtplib.SMTPConnectError(code, said)


def _own_name(sock: socket.socket) -> str:
    """Return what to call this machine: its full name, else its address, as RFC 5321 section 4.1.4 has it."""
    name, found = socket.gethostname(), sock.getsockname()[0]
    if re.fullmatch(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", name):
        return name
    return f"[IPv6:{found}]" if ":" in found else f"[{found}]"


def _secured(smtp: smtplib.SMTP, connection: Connection, where: str, *, is_plain: bool) -> None:
    """Turn to TLS, unless the session is so from its start or the connection says that there is none."""
    smtp.ehlo_or_helo_if_needed()
    if is_plain or isinstance(smtp, smtplib.SMTP_SSL):
        return
    if not smtp.has_extn("starttls"):
        raise Permanent(
            f"{where} does not offer STARTTLS, and without it the login and the mail could be read on the way. Use "
            "its port 465 or 587, or set disable_tls: true and allow_plain: true where nobody can listen"
        )
    smtp.starttls(context=_context(connection))
    smtp.ehlo_or_helo_if_needed()


def _logged_in(smtp: smtplib.SMTP, connection: Connection, where: str) -> None:
    if connection.text("auth_type") == "oauth2":
        token = f"user={connection.login}\1auth=Bearer {connection.text('access_token')}\1\1"
        smtp.auth("XOAUTH2", lambda challenge=None: token if challenge is None else "")
    elif connection.login and connection.password:
        try:
            smtp.login(connection.login, connection.password)
        except smtplib.SMTPNotSupportedError:
            raise Permanent(
                f"{where} takes no login; empty login and password of connection {connection.name}, or use the "
                "port that takes one (587 or 465)"
            ) from None


@contextmanager
def _named(where: str, *, connecting: bool = False) -> Iterator[None]:
    """Say of what ends a session before a message whether trying again helps."""
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise Permanent(
            f"{where}: its certificate is not to be trusted ({error.verify_message}). Use the name that the "
            "certificate has as the host, or name your authority as ca_file in the connection's extra"
        ) from error
    except (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError) as error:
        raise Lost(f"{where}: the connection was lost in the middle of TLS") from error
    except ssl.SSLError as error:
        raise Permanent(f"{where}: no TLS is possible there ({error.reason}); is the port right?") from error
    except smtplib.SMTPAuthenticationError as error:
        said = _words(error.smtp_code, error.smtp_error)
        if error.smtp_code // 100 == 4:
            raise Transient(f"{where}: no login now: {said}") from None
        raise Permanent(f"{where} refuses the login: {said}. Correct login and password") from None
    except smtplib.SMTPResponseException as error:
        said = f"{where}: {_words(error.smtp_code, error.smtp_error)}"
        raise (Permanent if error.smtp_code // 100 == 5 else Transient)(said) from None
    except socket.gaierror as error:
        if error.errno == socket.EAI_AGAIN:
            raise Lost(f"{where}: the name cannot be looked up now") from error
        raise Permanent(f"{where}: there is no such host; correct the host of the connection") from error
    except (OSError, smtplib.SMTPException) as error:
        told = "no connection" if connecting else "the connection was lost"
        raise Lost(f"{where}: {told} ({error or type(error).__name__})") from error


def _words(code: int, said: bytes | str) -> str:
    """Return a server's answer on one line, without what a terminal would obey."""
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    text = "".join(each if each.isprintable() else " " for each in text)
    return f"{code} {' '.join(text.split())}"[:_SAID_CHARACTERS].strip()
