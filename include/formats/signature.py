"""The signature of a manifest: detached OpenPGP in ASCII armour, beside it as NAME.manifest.json.asc.

It covers the manifest's bytes, and through the hashes in them every file of the delivery and the manifests before.
`gpg --verify NAME.manifest.json.asc NAME.manifest.json` and every other OpenPGP program checks it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pysequoia

from include.connections import Secrets
from include.errors import BadInput, Problem
from include.formats.encryption import keys, openpgp
from include.formats.encryption.keys import KeyRefused, Used
from include.formats.encryption.streaming import first_line
from include.formats.manifest import SIGNED, SUFFIX

MEDIA_TYPE = "application/pgp-signature"


def problems(name: str, secrets: Secrets, where: str) -> list[Problem]:
    """Return what is wrong now with the signing key of the connection `name`."""
    try:
        openpgp.signing_key(secrets, name)
    except KeyRefused as error:
        return [keys.refusal(error, where, name)]
    return []


def sign(content: bytes, name: str, secrets: Secrets) -> bytes:
    """Return the armoured signature of the content by the key of the connection `name`.

    It holds the instant of signing, so two are never alike: make one and keep it. Raises BadInput for a key that
    `problems` tells of.
    """
    try:
        material, passphrase = openpgp.signing_key(secrets, name)
    except KeyRefused as error:
        raise BadInput([keys.refusal(error, "sign", name)]) from None
    signer = pysequoia.Tsk.from_bytes(material).signer(passphrase or None)
    return pysequoia.sign(signer, content, mode=pysequoia.SignatureMode.DETACHED)


def used(name: str, secrets: Secrets) -> Used:
    """Return which key signs."""
    return Used("sign the manifest", name, openpgp.fingerprint(openpgp.signing_key(secrets, name)[0]))


def read_key(path: Path) -> pysequoia.Cert:
    """Return the public key in a file, armoured or binary; raise BadInput for what must not be believed."""
    try:
        return openpgp.certificate(path.read_bytes())
    except OSError as error:
        raise BadInput(
            [Problem("--key", str(path), f"cannot be read: {error.strerror}", "missing_key")]
        ) from None
    except KeyRefused as error:
        raise BadInput([Problem("--key", str(path), error.right, error.code)]) from None


def check(manifest: Path, key: pysequoia.Cert) -> list[Problem]:
    """Return why the signature beside a manifest is not one by this key; empty when it is.

    A key that has expired since proves what it signed while it lived. A revoked one proves nothing any more.
    """
    path = manifest.with_name(manifest.name.removesuffix(SUFFIX) + SIGNED)
    try:
        signature = pysequoia.Sig.from_bytes(path.read_bytes())
    except OSError:
        right = f"must lie beside its manifest: {manifest.name} says nothing without it"
        return [Problem(str(path), path.name, right, "signature_missing")]
    except Exception as error:  # noqa: BLE001 - the library has no classes of errors
        right = f"is no OpenPGP signature: {first_line(error)}"
        return [Problem(str(path), path.name, right, "signature_damaged")]
    made = signature.created
    if key.is_revoked:
        return [Problem(str(path), path.name, "its key is revoked", "signature_revoked")]
    if made is None or made > datetime.now(UTC) or (key.expiration is not None and made > key.expiration):
        right = "must have been made while its key was valid"
        return [Problem(str(path), str(made), right, "signature_expired")]
    try:
        pysequoia.verify(file=str(manifest), store=lambda _ids: [key], signature=signature)
    except Exception as error:  # noqa: BLE001 - as above
        right = f"is not the signature of {manifest.name} by {key.fingerprint}: {first_line(error)}"
        return [Problem(str(path), str(signature.issuer_fingerprint), right, "signature_wrong")]
    return []
