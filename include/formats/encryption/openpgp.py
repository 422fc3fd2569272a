"""OpenPGP for one or more recipients, signed if a key is named. GnuPG and every other OpenPGP program reads it.

pysequoia encrypts even to keys that are expired or revoked; what is refused here is decided here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import pysequoia
from pydantic import BaseModel, ConfigDict, Field
from pysequoia.packet import Packet, PacketPile, SignatureType, Tag

from include.connections import Secrets
from include.errors import BadInput, Problem
from include.formats.encryption import keys
from include.formats.encryption.keys import ConnectionName, KeyRefused, Recipient, Used
from include.formats.encryption.streaming import INPUT, OUTPUT, first_line, through

KIND = "openpgp"
EXTENSION = ".gpg"
MEDIA_TYPE = "application/pgp-encrypted"
_ENDINGS = (".asc", ".gpg", ".pgp")
_SUBKEYS = (Tag.PublicSubkey, Tag.SecretSubkey)


class Options(BaseModel):
    """Who can read the file, and who signs it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    recipients: list[Recipient] = Field(
        min_length=1,
        max_length=50,
        description="Public keys: names of files in LOYALTY_KEYS (finance for finance.asc), or connection:NAME.",
    )
    sign_with: ConnectionName | None = Field(
        None, description="Connection whose extra holds the private_key, and whose password unlocks it."
    )


def connections(options: Options) -> tuple[str, ...]:
    """Return the names of the connections that hold its keys (see `Encryption`)."""
    signing = (options.sign_with,) if options.sign_with else ()
    return (*keys.named_connections(options.recipients), *signing)


def problems(options: Options, secrets: Secrets, where: str) -> list[Problem]:
    """Return everything that is wrong with the keys now (see `Encryption`)."""
    return _looked_up(options, secrets, where)[2]


def encrypt(chunks: Iterable[bytes], name: str, options: Options, secrets: Secrets) -> Iterator[bytes]:  # noqa: ARG001
    """Yield the encrypted message, in binary (see `Encryption`)."""
    recipients, signing, wrong = _looked_up(options, secrets, "file.encryption")
    if wrong:
        raise BadInput(wrong)
    return through(f"{__name__}:work", (recipients, signing), chunks)


def used(options: Options, secrets: Secrets) -> list[Used]:
    """Return the keys that encrypting takes (see `Encryption`)."""
    recipients, signing, _ = _looked_up(options, secrets, "file.encryption")
    found = [
        Used("encrypt", name, fingerprint(key))
        for name, key in zip(options.recipients, recipients, strict=True)
    ]
    if signing and options.sign_with:
        found.append(Used("sign", options.sign_with, fingerprint(signing[0])))
    return found


def fingerprint(material: bytes) -> str:
    """Return the fingerprint (lower-case hex) of a public or private key."""
    return str(pysequoia.Cert.from_bytes(material).fingerprint)


def work(known: tuple[list[bytes], tuple[bytes, str] | None]) -> None:
    """Encrypt INPUT to OUTPUT, in a process of its own."""
    recipients, signing = known
    signer = pysequoia.Tsk.from_bytes(signing[0]).signer(signing[1] or None) if signing else None
    certs = [pysequoia.Cert.from_bytes(each) for each in recipients]
    pysequoia.encrypt_file(INPUT, OUTPUT, certs, signer, armor=False)


def _looked_up(
    options: Options, secrets: Secrets, where: str
) -> tuple[list[bytes], tuple[bytes, str] | None, list[Problem]]:
    """Return the recipients' keys, the signing key with its passphrase, and all problems."""
    recipients: list[bytes] = []
    signing: tuple[bytes, str] | None = None
    wrong: list[Problem] = []
    for index, recipient in enumerate(options.recipients):
        try:
            recipients.append(_recipient(keys.public_key(recipient, _ENDINGS, secrets)))
        except KeyRefused as error:
            wrong.append(keys.refusal(error, f"{where}.recipients[{index}]", recipient))
    if options.sign_with is not None:
        try:
            signing = signing_key(secrets, options.sign_with)
        except KeyRefused as error:
            wrong.append(keys.refusal(error, f"{where}.sign_with", options.sign_with))
    return recipients, signing, wrong


def certificate(material: bytes) -> pysequoia.Cert:
    """Return the public key that the bytes are, dead or alive; KeyRefused when they are none."""
    try:
        cert = pysequoia.Cert.from_bytes(material)
    except Exception as error:  # noqa: BLE001 - the library has no classes of errors
        right = f"is not one OpenPGP public key, as `gpg --export --armor` writes it: {first_line(error)}"
        raise KeyRefused(right, "bad_key") from None
    if cert.has_secret_keys:
        raise KeyRefused(
            "holds a private key: put the public key there, and nowhere the private", "private_key"
        )
    return cert


def _recipient(material: bytes) -> bytes:
    """Return a public key with nothing but what may be used today; KeyRefused when that cannot encrypt."""
    _refuse_dead(certificate(material))
    living, total = _living(material)
    usable = bytes(pysequoia.Cert.from_packets(living))
    if not _encrypts(pysequoia.Cert.from_bytes(usable)):
        if len(living) < total:
            right = "its encryption subkey has expired or is revoked; ask its owner for the renewed key"
            raise KeyRefused(right, "expired_key")
        raise KeyRefused("is a key for signing only; ask its owner for one that can encrypt", "no_encryption")
    return usable


def signing_key(secrets: Secrets, name: str) -> tuple[bytes, str]:
    """Return a connection's signing key, reduced to what may be used today, and its passphrase; or KeyRefused."""
    connection = keys.needed(secrets, name)
    material = connection.text(keys.PRIVATE).encode()
    if not material:
        raise KeyRefused(f"the connection's extra must hold the key as {keys.PRIVATE}", "missing_key")
    try:
        key = pysequoia.Tsk.from_bytes(material)
    except Exception:  # noqa: BLE001 - the library has no classes of errors; its text might quote the key
        raise KeyRefused(
            "is not one OpenPGP private key, as `gpg --export-secret-keys --armor` writes it", "bad_key"
        ) from None
    _refuse_dead(key.extract_certificate())
    usable = bytes(pysequoia.Tsk.from_packets(_living(material)[0]))
    try:
        pysequoia.Tsk.from_bytes(usable).signer(connection.password or None)
    except Exception:  # noqa: BLE001 - as above
        right = "has no living key that can sign, or the connection's password does not unlock it"
        raise KeyRefused(right, "no_signing") from None
    return usable, connection.password


def _refuse_dead(cert: pysequoia.Cert) -> None:
    if cert.is_revoked:
        raise KeyRefused("is revoked; ask its owner for the new key", "revoked_key")
    if cert.expiration is not None and cert.expiration <= datetime.now(UTC):
        right = f"expired on {cert.expiration:%Y-%m-%d}; ask its owner for the renewed key"
        raise KeyRefused(right, "expired_key")


def _living(material: bytes) -> tuple[list[Packet], int]:
    """Return the packets of a key without the subkeys that have expired or are revoked, and how many there were."""
    groups: list[list[Any]] = [[]]
    packets = PacketPile.from_bytes(material)
    for packet in packets:
        if packet.tag in _SUBKEYS:
            groups.append([])
        groups[-1].append(packet)
    living = [packet for index, group in enumerate(groups) if index == 0 or _lives(group) for packet in group]
    return living, len(packets)


def _lives(subkey: list[Packet]) -> bool:
    """Whether a subkey, given with its signatures, is neither revoked nor past the end in its newest binding."""
    signatures = subkey[1:]
    if any(each.signature_type == SignatureType.SubkeyRevocation for each in signatures):
        return False
    bindings = [each for each in signatures if each.signature_type == SignatureType.SubkeyBinding]
    earliest = datetime.min.replace(tzinfo=UTC)
    newest = max(bindings, key=lambda each: each.signature_created or earliest, default=None)
    if newest is None or newest.key_validity_period is None:
        return newest is not None
    created = subkey[0].key_created or earliest
    return created + newest.key_validity_period > datetime.now(UTC)


def _encrypts(cert: pysequoia.Cert) -> bool:
    try:
        pysequoia.encrypt(b"", [cert], armor=False)
    except Exception:  # noqa: BLE001 - the library has no classes of errors
        return False
    return True
