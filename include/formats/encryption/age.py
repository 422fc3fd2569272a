"""age for one or more recipients (age-encryption.org/v1): keys of age itself, or SSH keys."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

import pyrage
from pydantic import BaseModel, ConfigDict, Field

from include.connections import Secrets
from include.errors import BadInput, Problem
from include.formats.encryption import keys
from include.formats.encryption.keys import KeyRefused, Recipient, Used
from include.formats.encryption.streaming import INPUT, OUTPUT, first_line, through

KIND = "age"
EXTENSION = ".age"
MEDIA_TYPE = "application/octet-stream"
_ENDINGS = (".pub", ".age")
_LITERALS = ("age1", "ssh-")


class Options(BaseModel):
    """Who can read the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    recipients: list[Recipient] = Field(
        min_length=1,
        max_length=50,
        description="Public keys: age1... or ssh-... itself, names of files in LOYALTY_KEYS (finance for "
        "finance.pub), or connection:NAME.",
    )


def connections(options: Options) -> tuple[str, ...]:
    """Return the names of the connections that hold its keys (see `Encryption`)."""
    return keys.named_connections(options.recipients)


def problems(options: Options, secrets: Secrets, where: str) -> list[Problem]:
    """Return everything that is wrong with the keys now (see `Encryption`)."""
    return _looked_up(options, secrets, where)[1]


def encrypt(chunks: Iterable[bytes], name: str, options: Options, secrets: Secrets) -> Iterator[bytes]:  # noqa: ARG001
    """Yield the encrypted file, in binary (see `Encryption`)."""
    recipients, wrong = _looked_up(options, secrets, "file.encryption")
    if wrong:
        raise BadInput(wrong)
    return through(f"{__name__}:work", recipients, chunks)


def used(options: Options, secrets: Secrets) -> list[Used]:
    """Return the keys that encrypting takes (see `Encryption`)."""
    return [
        Used("encrypt", recipient, _fingerprint(line))
        for recipient in options.recipients
        for line in _keys_of(recipient, secrets)
    ]


def work(recipients: list[str]) -> None:
    """Encrypt INPUT to OUTPUT, in a process of its own."""
    pyrage.encrypt_file(INPUT, OUTPUT, [_parsed(text) for text in recipients])


def _looked_up(options: Options, secrets: Secrets, where: str) -> tuple[list[str], list[Problem]]:
    """Return the recipients' keys as text, and all problems."""
    found: list[str] = []
    wrong: list[Problem] = []
    for index, recipient in enumerate(options.recipients):
        try:
            found += _keys_of(recipient, secrets)
        except KeyRefused as error:
            wrong.append(keys.refusal(error, f"{where}.recipients[{index}]", recipient))
    return found, wrong


def _keys_of(recipient: str, secrets: Secrets) -> list[str]:
    """Return the keys of one recipient: itself, or the lines of its file; comments begin with #."""
    literal = recipient.startswith(_LITERALS) or keys.is_private(recipient)
    material = recipient.encode() if literal else keys.public_key(recipient, _ENDINGS, secrets)
    text = material.decode("utf-8", "replace")
    if keys.is_private(text):
        raise KeyRefused(
            "holds a private key: put the public key there, and nowhere the private", "private_key"
        )
    found = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if not found:
        raise KeyRefused("holds no key", "bad_key")
    for line in found:
        try:
            _parsed(line)
        except pyrage.RecipientError as error:
            right = f"is not a public key of age (age1...) or SSH (ssh-ed25519 ...): {first_line(error)}"
            raise KeyRefused(right, "bad_key") from None
    return found


def _fingerprint(line: str) -> str:
    """Return the key itself, which age has no shorter name for; of an SSH key what `ssh-keygen -l` shows."""
    if not line.startswith("ssh-"):
        return line
    digest = hashlib.sha256(base64.b64decode(line.split()[1])).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def _parsed(text: str) -> Any:
    """Return a recipient of the library; pyrage.RecipientError for what is none."""
    return (pyrage.ssh if text.startswith("ssh-") else pyrage.x25519).Recipient.from_str(text)
