"""A zip with one entry under AES-256 (WinZip's AE-2), for receivers who insist on a password.

7-Zip, WinZip, macOS's archive programs and libarchive open it; Windows Explorer and Info-ZIP's unzip do not. The
entry's name and size stand in clear.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator

import pyzipper
from pydantic import BaseModel, ConfigDict, Field

from include.connections import Secrets
from include.errors import BadInput, Problem
from include.formats import compression
from include.formats.encryption import keys
from include.formats.encryption.keys import ConnectionName, KeyRefused, Used

KIND = "zip_aes"
EXTENSION = ".zip"
MEDIA_TYPE = "application/zip"
# The format's key derivation is weak (1,000 rounds of SHA-1): the password must carry the strength.
MIN_CHARACTERS = 16
_LEVEL = 1


class Options(BaseModel):
    """Where the password is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    password_from: ConnectionName = Field(
        description=f"Connection that holds the password, of {MIN_CHARACTERS} characters or more."
    )


def connections(options: Options) -> tuple[str, ...]:
    """Return the names of the connections that hold its password (see `Encryption`)."""
    return (options.password_from,)


def problems(options: Options, secrets: Secrets, where: str) -> list[Problem]:
    """Return what is wrong with the password (see `Encryption`)."""
    try:
        _password(options, secrets)
    except KeyRefused as error:
        return [keys.refusal(error, f"{where}.password_from", options.password_from)]
    return []


def encrypt(chunks: Iterable[bytes], name: str, options: Options, secrets: Secrets) -> Iterator[bytes]:
    """Yield the archive (see `Encryption`). An entry that is compressed already is stored, another is deflated."""
    if wrong := problems(options, secrets, "file.encryption"):
        raise BadInput(wrong)
    return _archive(chunks, name, _password(options, secrets))


def used(options: Options, secrets: Secrets) -> list[Used]:  # noqa: ARG001
    """Return what encrypting takes (see `Encryption`); a password has no fingerprint that gives nothing away."""
    return [Used("encrypt", options.password_from, None)]


def _archive(chunks: Iterable[bytes], name: str, password: bytes) -> Iterator[bytes]:
    packed = name.endswith(tuple(filter(None, compression.EXTENSIONS.values())))
    method = pyzipper.ZIP_STORED if packed else pyzipper.ZIP_DEFLATED
    out = _Outgoing()
    with pyzipper.AESZipFile(
        out, "w", compression=method, compresslevel=_LEVEL, encryption=pyzipper.WZ_AES
    ) as archive:
        archive.setpassword(password)
        with archive.open(name, "w", force_zip64=True) as entry:
            for chunk in chunks:
                entry.write(chunk)
                yield out.taken()
    yield out.taken()


def _password(options: Options, secrets: Secrets) -> bytes:
    password = keys.needed(secrets, options.password_from).password
    if len(password) < MIN_CHARACTERS:
        raise KeyRefused(
            f"the connection's password must have {MIN_CHARACTERS} characters or more", "short_password"
        )
    return password.encode()


class _Outgoing(io.RawIOBase):
    """What the archive has written and nobody has taken; it cannot seek, so the archive streams."""

    def __init__(self) -> None:
        self._held: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._held.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        held, self._held = self._held, []
        return b"".join(held)
