"""SFTP over a session: many requests under way at once, every answer looked at, no wait without an end.

paramiko's own pipelined writes lose the errors of the last hundred, and its prefetch sleeps between requests.
A server that says no raises `Refused`; a connection that ends or falls silent raises `Lost`.
"""

from __future__ import annotations

import struct
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import paramiko
from paramiko import sftp as wire
from paramiko.sftp_attr import SFTPAttributes
from paramiko.ssh_exception import SSHException

from include.connections import Connection
from include.errors import Permanent
from include.targets.ssh.login import Lost, address, logged_in

# A request never holds more; OpenSSH takes and gives 255 KiB, every server 32.
MAX_REQUEST_BYTES = 255 << 10
MIN_REQUEST_BYTES = 32 << 10
WINDOW_REQUESTS = 64
PACKET_BYTES = (32 << 10) - 64  # what paramiko puts into one packet of a channel
POSIX_RENAME, FSYNC = "posix-rename@openssh.com", "fsync@openssh.com"
STATVFS, LIMITS = "statvfs@openssh.com", "limits@openssh.com"


class Refused(Exception):
    """The server's answer to a request was no. code: of the protocol; text: in the server's words."""

    MISSING, FORBIDDEN, FAILURE = wire.SFTP_NO_SUCH_FILE, wire.SFTP_PERMISSION_DENIED, wire.SFTP_FAILURE
    FULL = frozenset({14, 15})  # no space, quota exceeded: of the protocol's later versions

    def __init__(self, code: int, text: str) -> None:
        self.code, self.text = code, text
        super().__init__(f"'{text}' (status {code})")


class _Replies:
    """The answers to requests that nobody waited for yet."""

    def __init__(self) -> None:
        self.found: dict[int, tuple[int, Any]] = {}

    def _async_response(self, kind: int, message: Any, number: int) -> None:
        self.found[number] = kind, message


class Remote(paramiko.SFTPClient):  # type: ignore[misc]
    """One SFTP session. Paths are texts, written as UTF-8; modes as chmod's; sizes in bytes."""

    def __init__(self, channel: Any) -> None:
        self.extensions: dict[str, str] = {}
        super().__init__(channel)
        self.read_bytes = self.write_bytes = MIN_REQUEST_BYTES
        if LIMITS in self.extensions:
            with suppress(Refused):
                _, read, write, _ = self._numbers(4, LIMITS)
                self.read_bytes, self.write_bytes = (
                    min(limit, MAX_REQUEST_BYTES) or MIN_REQUEST_BYTES for limit in (read, write)
                )

    @property
    def can_replace(self) -> bool:
        """Whether a file can take the place of another in one step."""
        return POSIX_RENAME in self.extensions

    def write(
        self, path: str, pieces: Callable[[int], Iterable[bytes]], *, start: int = 0, mode: int | None = None
    ) -> Iterator[int]:
        """Write a new file, or from `start` on one that is there, and sync it; yields the bytes there so far.

        pieces: given a size, yields the bytes in pieces of at most that size.
        """
        with self.open(path, "r+" if start else "wx") as file:
            if mode is not None:
                file.chmod(mode | 0o600)
            replies, waiting, size = _Replies(), deque[int](), start
            for piece in pieces(self.write_bytes):
                where = wire.int64(size)
                waiting.append(self._async_request(replies, wire.CMD_WRITE, file.handle, where, piece))
                size += len(piece)
                if len(waiting) > WINDOW_REQUESTS:
                    self._answer(replies, waiting.popleft())
                yield size
            while waiting:
                self._answer(replies, waiting.popleft())
            if mode is not None:
                file.chmod(mode)
            if FSYNC in self.extensions:
                self._request(wire.CMD_EXTENDED, FSYNC, file.handle)

    def read(self, path: str, size: int, *, start: int = 0) -> Iterator[bytes]:
        """Yield `size` bytes of a file from `start` on, fewer when it ends before."""
        with self.open(path, "r") as file:
            replies, waiting, place, end = _Replies(), deque[tuple[int, int, int]](), start, start + size
            while place < end or waiting:
                while place < end and len(waiting) < WINDOW_REQUESTS:
                    wanted = min(self.read_bytes, end - place)
                    number = self._async_request(
                        replies, wire.CMD_READ, file.handle, wire.int64(place), wanted
                    )
                    waiting.append((number, place, wanted))
                    place += wanted
                number, first, wanted = waiting.popleft()
                data = b""
                try:
                    data = self._answer(replies, number).get_binary()
                    while len(data) < wanted:  # the server gives less at a time
                        rest = wire.int64(first + len(data))
                        asked = self._request(wire.CMD_READ, file.handle, rest, wanted - len(data))
                        data += asked[1].get_binary()
                except EOFError:
                    end = 0
                yield data
                if not end:
                    return

    def size(self, path: str) -> int | None:
        """Return a file's size, -1 for what is no file, None when nothing is there."""
        try:
            found = self.lstat(path)
        except Refused as refused:
            if refused.code == Refused.MISSING:
                return None
            raise
        return found.st_size if found.st_mode is None or found.st_mode >> 12 == 0o10 else -1

    def sizes(self, folder: str, prefix: str) -> dict[str, int]:
        """Return name and size of what begins so in a folder; other names may be in any encoding."""
        return {name: about.st_size or 0 for name, about in self.listed(folder, prefix)}

    def ages(self, folder: str, prefix: str) -> dict[str, float]:
        """Return name and time (seconds since 1970, by the server's clock) of what begins so in a folder."""
        return {name: float(about.st_mtime or 0) for name, about in self.listed(folder, prefix)}

    def listed(self, folder: str, prefix: str = "") -> Iterator[tuple[str, SFTPAttributes]]:
        """Yield name and attributes of what begins so in a folder; other names may be in any encoding."""
        _, message = self._request(wire.CMD_OPENDIR, folder)
        handle = message.get_binary()
        try:
            while True:
                _, message = self._request(wire.CMD_READDIR, handle)
                for _ in range(message.get_int()):
                    name, _ = message.get_binary(), message.get_binary()
                    about = SFTPAttributes._from_msg(message)  # noqa: SLF001
                    if name.startswith(prefix.encode()):
                        yield name.decode(errors="surrogateescape"), about
        except EOFError:
            self._request(wire.CMD_CLOSE, handle)

    def free_bytes(self, folder: str) -> int | None:
        """Return how much this login may still write on the folder's disk; None when the server does not say."""
        if STATVFS not in self.extensions:
            return None
        with suppress(Refused):
            _, unit, _, _, available = self._numbers(5, STATVFS, folder)
            return unit * available
        return None

    def discard(self, *paths: str) -> None:
        """Remove files that may not be there."""
        for path in paths:
            with suppress(Refused):
                self.remove(path)

    def _numbers(self, count: int, *request: str) -> list[int]:
        _, message = self._request(wire.CMD_EXTENDED, *request)
        return [message.get_int64() for _ in range(count)]

    def _answer(self, replies: _Replies, number: int) -> Any:
        while number not in replies.found:
            self._read_response()
        kind, message = replies.found.pop(number)
        if kind == wire.CMD_STATUS:
            self._convert_status(message)
        return message

    def _convert_status(self, message: Any) -> None:
        code, text = message.get_int(), message.get_binary().decode(errors="replace")
        if code == wire.SFTP_EOF:
            raise EOFError(text)
        if code != wire.SFTP_OK:
            raise Refused(code, text)

    # The next two replace paramiko's, which copy what is left of a request, or all that came of an answer, for each
    # of the 32 KiB packets that it travels in.

    def _write_all(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            sent = self.sock.send(bytes(view[:PACKET_BYTES]))
            if sent <= 0:
                raise EOFError
            view = view[sent:]

    def _read_all(self, size: int) -> bytes:
        found = []
        while size > 0:
            piece = self.sock.recv(size)
            if not piece:
                raise EOFError
            found.append(piece)
            size -= len(piece)
        return b"".join(found)

    def _send_version(self) -> int:
        """Begin, and keep what the server says that it can do."""
        hello = paramiko.Message()
        hello.add_int(3)
        self._send_packet(wire.CMD_INIT, hello)
        kind, data = self._read_packet()
        if kind != wire.CMD_VERSION:
            raise SSHException("the server does not speak SFTP")
        message = paramiko.Message(data[4:])
        while message.get_remainder():
            name, value = message.get_binary(), message.get_binary()
            self.extensions[name.decode(errors="replace")] = value.decode(errors="replace")
        return int(struct.unpack(">I", data[:4])[0])


def _opened(transport: paramiko.Transport, connection: Connection, seconds: float) -> Remote:
    try:
        channel = transport.open_session(timeout=seconds)
        channel.settimeout(seconds)
        channel.invoke_subsystem("sftp")
        return Remote(channel)
    except TimeoutError:
        raise
    except (
        SSHException,
        wire.SFTPError,
        OSError,
    ) as error:  # OSError: the channel was closed before we said a word
        transport.join(1)  # a connection that was lost ends its thread
        if not transport.is_active():
            raise
        raise Permanent(
            f"{address(connection)}: {connection.login} may log in, but not use SFTP ({error}); ask the server's owner"
        ) from error


@contextmanager
def connected(connection: Connection, seconds: float) -> Iterator[Remote]:
    """Log in and open SFTP (see `login.logged_in`); within, whatever ends the connection raises Lost."""
    where = address(connection)
    with logged_in(connection, seconds) as transport:
        too_late = threading.Timer(seconds, transport.close)
        too_late.daemon = True
        too_late.start()
        try:
            remote = _opened(transport, connection, seconds)
            too_late.cancel()
            yield remote
        except TimeoutError as error:
            raise Lost(f"{where}: no answer for {seconds:g} seconds") from error
        except (SSHException, wire.SFTPError, EOFError, OSError) as error:
            raise Lost(f"{where}: the connection was lost ({error or type(error).__name__})") from error
        finally:
            too_late.cancel()
