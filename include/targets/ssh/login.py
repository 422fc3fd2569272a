"""Log in to an SSH server whose host key is pinned, by private key, password or agent, with modern algorithms only.

There is no way to accept any host key: an unknown or changed one ends the login before a secret is sent.
The connection's extra holds `host_key` (lines of `ssh-ed25519 AAAA...`, or only the base64) or `known_hosts` (a
file of OpenSSH's), and `private_key` or `key_file`, with `private_key_passphrase`. With neither key nor password
the agent of SSH_AUTH_SOCK is asked.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization as serial
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from paramiko import ssh_exception

from include.connections import Connection
from include.errors import Permanent, Transient

PORT = 22
KEEPALIVE_SECONDS = 15
RSA_BITS = 2048
# What these lists leave out: SHA-1, CBC, MD5, and MACs of what is not yet encrypted where there is a choice.
CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes192-ctr", "aes256-ctr")
MACS = (
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256",
    "hmac-sha2-512",
)
KEX = (
    "mlkem768x25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group-exchange-sha256",
    "diffie-hellman-group14-sha256",
)
HOST_KEYS = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
)
_KEY_CLASSES = {
    ed25519.Ed25519PrivateKey: paramiko.Ed25519Key,
    ec.EllipticCurvePrivateKey: paramiko.ECDSAKey,
    rsa.RSAPrivateKey: paramiko.RSAKey,
}


class Lost(Transient):
    """The connection ended, or the server was silent for too long; what was asked last may or may not have happened."""


def address(connection: Connection) -> str:
    """Return the server as a person writes it: the host, and the port when it is not 22."""
    port = connection.port or PORT
    return connection.host if port == PORT else f"{connection.host}:{port}"


@contextmanager
def logged_in(connection: Connection, seconds: float) -> Iterator[paramiko.Transport]:
    """Log in, and log out at the end. seconds: how long the server may take, and later be silent.

    Raises Permanent for whatever somebody must change (host key, login, algorithms), Lost for the rest.
    """
    where = address(connection)
    if not connection.host or not connection.login:
        raise Permanent(f"connection {connection.name}: give its host and its login")
    pinned, key = _pinned(connection), _private_key(connection)
    with _losses(where):
        transport = paramiko.Transport(_PatientSocket(_connected(connection, seconds), seconds))
    too_late = threading.Timer(seconds, transport.close)
    too_late.daemon = True
    too_late.start()
    try:
        with _losses(where):
            _shake_hands(transport, connection, pinned, seconds)
            _authenticate(transport, connection, key)
        too_late.cancel()
        transport.set_keepalive(KEEPALIVE_SECONDS)
        yield transport
    finally:
        too_late.cancel()
        transport.close()


@contextmanager
def _losses(where: str) -> Iterator[None]:
    """Name whatever ends a connection `Lost`."""
    try:
        yield
    except (ssh_exception.SSHException, EOFError, OSError) as error:
        raise Lost(f"{where}: the connection was lost ({error or type(error).__name__})") from error


def _connected(connection: Connection, seconds: float) -> socket.socket:
    where = address(connection)
    try:
        return socket.create_connection((connection.host, connection.port or PORT), timeout=seconds)
    except socket.gaierror as error:
        if error.errno == socket.EAI_AGAIN:
            raise Lost(f"{where}: the name cannot be looked up now") from error
        raise Permanent(
            f"{where}: there is no such host; correct the host of connection {connection.name}"
        ) from error
    except OSError as error:
        raise Lost(f"{where}: no connection ({error}); is the server up, and the port right?") from error


class _PatientSocket:
    """A socket on which sending ends when nothing is taken for `seconds`; paramiko alone would try for ever."""

    def __init__(self, inner: socket.socket, seconds: float) -> None:
        self._inner, self._seconds, self._closed = inner, seconds, False
        inner.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def settimeout(self, seconds: float) -> None:
        self._inner.settimeout(seconds)

    def recv(self, size: int) -> bytes:
        return self._inner.recv(size)

    def send(self, data: bytes) -> int:
        end = time.monotonic() + self._seconds
        while True:
            try:
                return self._inner.send(data)
            except TimeoutError:
                if self._closed or time.monotonic() > end:
                    raise ConnectionAbortedError("the server takes no more bytes") from None

    def close(self) -> None:
        self._closed = True
        self._inner.close()

    def getpeername(self) -> object:
        return self._inner.getpeername()


# The host's key


def _pinned(connection: Connection) -> frozenset[bytes]:
    """Return the keys that the host may have; Permanent when a text is no key."""
    found = set()
    for line in connection.text("host_key").replace(",", "\n").splitlines():
        word = next((word for word in line.split() if word.startswith("AAAA")), "")
        try:
            if line.strip():
                found.add(base64.b64decode(word, validate=True))
                _kind(base64.b64decode(word, validate=True))
        except (binascii.Error, struct.error, UnicodeDecodeError):
            raise _bad_pin(connection) from None
        if line.strip() and not word:
            raise _bad_pin(connection)
    if path := connection.text("known_hosts"):
        found |= _known(connection, Path(path))
    return frozenset(found)


def _bad_pin(connection: Connection) -> Permanent:
    return Permanent(
        f"connection {connection.name}: host_key in its extra must be a public key, such as 'ssh-ed25519 AAAA...'"
    )


def _known(connection: Connection, path: Path) -> set[bytes]:
    """Return the host's keys in a file of OpenSSH's kind, without those that it revokes."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Permanent(
            f"connection {connection.name}: the file known_hosts cannot be read ({error})"
        ) from error
    port = connection.port or PORT
    host = connection.host if port == PORT else f"[{connection.host}]:{port}"
    found: dict[bool, set[bytes]] = {False: set(), True: set()}
    for line in lines:
        is_revoked = line.startswith("@revoked ")
        with suppress(paramiko.SSHException, paramiko.hostkeys.InvalidHostKey):
            entry = paramiko.hostkeys.HostKeyEntry.from_line(line.removeprefix("@revoked "))
            if entry is not None and not line.startswith("@cert-authority"):
                names = paramiko.HostKeys()
                for name in entry.hostnames:
                    names.add(name, entry.key.get_name(), entry.key)
                if names.check(host, entry.key):
                    found[is_revoked].add(entry.key.asbytes())
    return found[False] - found[True]


def _kind(blob: bytes) -> str:
    (length,) = struct.unpack(">I", blob[:4])
    return blob[4 : 4 + length].decode("ascii")


def fingerprint(blob: bytes) -> str:
    """Return a public key's fingerprint as `ssh-keygen -l` writes it, with its kind."""
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    return f"{_kind(blob)} SHA256:{digest}"


def _shake_hands(
    transport: paramiko.Transport, connection: Connection, pinned: frozenset[bytes], seconds: float
) -> None:
    where = address(connection)
    transport.banner_timeout = transport.auth_timeout = transport.handshake_timeout = seconds
    options = transport.get_security_options()
    options.ciphers, options.digests, options.kex = CIPHERS, MACS, KEX
    kinds = {_kind(blob).replace("ssh-rsa", "rsa-sha2") for blob in pinned}
    options.key_types = tuple(
        sorted(HOST_KEYS, key=lambda name: not any(name.startswith(kind) for kind in kinds))
    )
    try:
        transport.start_client(timeout=seconds)
    except ssh_exception.IncompatiblePeer as error:
        raise Permanent(
            f"{where}: the server offers no algorithm that is safe today ({error}); it needs an update: AES-GCM or "
            "AES-CTR, SHA-2, and a host key of Ed25519, ECDSA or RSA"
        ) from error
    shown = transport.get_remote_server_key()
    blob = shown.asbytes()
    if blob not in pinned:
        raise _unknown_key(connection, blob, pinned)
    if shown.get_name() == "ssh-rsa" and shown.get_bits() < RSA_BITS:
        raise Permanent(f"{where}: its host key has {shown.get_bits()} bits only; it needs a new one")


def _unknown_key(connection: Connection, blob: bytes, pinned: frozenset[bytes]) -> Permanent:
    where, shown = address(connection), fingerprint(blob)
    line = f"{_kind(blob)} {base64.b64encode(blob).decode()}"
    if not pinned:
        return Permanent(
            f"{where}: connection {connection.name} says nothing of its host key. The server shows {shown}. Compare "
            f"that with its owner, then put this into the connection's extra as host_key: {line}"
        )
    known = " or ".join(sorted(map(fingerprint, pinned)))
    return Permanent(
        f"{where}: the host key is another than connection {connection.name} pins: the server shows {shown}, pinned is "
        f"{known}. Somebody may be between, or the server was renewed: ask its owner, and only then replace host_key "
        f"in the connection's extra by: {line}"
    )


# Who we are


def _authenticate(transport: paramiko.Transport, connection: Connection, key: paramiko.PKey | None) -> None:
    where, login = address(connection), connection.login
    keys = [key] if key else [] if connection.password else list(paramiko.Agent().get_keys())
    if not keys and not connection.password:
        raise Permanent(
            f"{where}: connection {connection.name} has no password and no private_key in its extra, and no agent "
            "holds a key (SSH_AUTH_SOCK); give one of them"
        )
    refused: Exception | None = None
    for each in keys:
        try:
            if not transport.auth_publickey(login, each):
                return
            refused = None  # the server wants a password too
            break
        except ssh_exception.AuthenticationException as error:
            refused = _rejected(transport, connection, error)
    if connection.password:
        try:
            refused = None
            if not transport.auth_password(login, connection.password):
                return
        except ssh_exception.AuthenticationException as error:
            refused = _rejected(transport, connection, error)
    raise refused or Permanent(
        f"{where}: the server wants more than one proof of who {login} is; give the connection both a private_key "
        "and a password, or ask for an account that needs one"
    )


def _rejected(
    transport: paramiko.Transport, connection: Connection, error: ssh_exception.AuthenticationException
) -> Exception:
    where = address(connection)
    if "timeout" in str(error).lower() or "EOF" in str(error) or not transport.is_active():
        return Lost(f"{where}: the connection was lost while logging in ({error})")
    taken = getattr(error, "allowed_types", None)
    ways = f"; the server takes: {', '.join(taken)}" if taken else ""
    return Permanent(
        f"{where}: the server refuses the login {connection.login}{ways}. Correct the login, the password or the "
        f"private_key of connection {connection.name}, or ask the server's owner to let this key in"
    )


def _private_key(connection: Connection) -> paramiko.PKey | None:
    """Return the connection's private key, None when it has none; Permanent when it cannot be used."""
    text, path = connection.text("private_key"), connection.text("key_file")
    phrase = connection.text("private_key_passphrase")
    if not text and not path:
        return None

    def unusable(why: str) -> Permanent:
        return Permanent(f"connection {connection.name}: its private key {why}")

    try:
        data = text.strip().encode() + b"\n" if text else Path(path).read_bytes()
        key = _loaded(data, phrase.encode() or None)
    except OSError as error:
        raise unusable(f"cannot be read from key_file ({error.strerror})") from None
    except TypeError:
        raise unusable("has a passphrase; give private_key_passphrase in the extra") from None
    except (ValueError, UnsupportedAlgorithm):
        raise unusable("is no key in PEM or OpenSSH form, or its passphrase is wrong") from None
    kind = next((kind for known, kind in _KEY_CLASSES.items() if isinstance(key, known)), None)
    if kind is None or (isinstance(key, rsa.RSAPrivateKey) and key.key_size < RSA_BITS):
        raise unusable(f"must be Ed25519, ECDSA, or RSA of {RSA_BITS} bits or more; make a new one")
    written = key.private_bytes(serial.Encoding.PEM, serial.PrivateFormat.OpenSSH, serial.NoEncryption())
    return kind.from_private_key(io.StringIO(written.decode()))


def _loaded(data: bytes, phrase: bytes | None) -> serial.ssh.SSHPrivateKeyTypes:
    """Return the key of PEM or OpenSSH bytes; TypeError when it has a passphrase and none was given."""
    is_openssh = b"BEGIN OPENSSH PRIVATE KEY" in data
    load = serial.load_ssh_private_key if is_openssh else serial.load_pem_private_key
    try:
        return load(data, phrase)  # type: ignore[return-value]
    except TypeError:
        if phrase is None:
            raise
        return load(data, None)  # type: ignore[return-value]
