"""Rules: gpg believes the signature of a manifest, and `check` believes nothing that is not by the key that was given."""

from __future__ import annotations

from pathlib import Path

import pysequoia
import pytest

from include.connections import Connection, Secrets
from include.errors import BadInput
from include.formats import signature
from tests.formats.encryption.conftest import LONG_AGO, PASSPHRASE, Keyring, gpg

MANIFEST = '{\n  "manifest": 2,\n  "name": "été.csv"\n}\n'.encode()
NAME = "x.csv.manifest.json"


@pytest.fixture
def signed(keyring: Keyring, tmp_path: Path) -> Path:
    """A manifest and its signature beside it; a receiver has no more."""
    path = tmp_path / NAME
    path.write_bytes(MANIFEST)
    path.with_name(NAME + ".asc").write_bytes(signature.sign(MANIFEST, "signer", keyring.secrets))
    return path


def codes(path: Path, key: Path) -> list[str]:
    return [problem.code for problem in signature.check(path, signature.read_key(key))]


def status(keyring: Keyring, path: Path) -> str:
    """What gpg, which has the signer's public key, says of the signature."""
    done = gpg(keyring.home, "--status-fd", "2", "--verify", f"{path}.asc", str(path))
    return done.stderr.decode("utf-8", "replace")


def test_gpg_and_we_believe_it(keyring: Keyring, signed: Path) -> None:
    told = status(keyring, signed)
    assert "GOODSIG" in told
    assert "signer@x.org" in told
    assert signed.with_name(NAME + ".asc").read_text().startswith("-----BEGIN PGP SIGNATURE-----")
    assert codes(signed, keyring.secrets.keys / "signer.asc") == []


def test_one_changed_byte_of_the_manifest_is_seen_by_gpg_and_by_us(keyring: Keyring, signed: Path) -> None:
    signed.write_bytes(MANIFEST.replace(b"2", b"3"))
    assert codes(signed, keyring.secrets.keys / "signer.asc") == ["signature_wrong"]
    with pytest.raises(Exception, match="non-zero"):
        status(keyring, signed)


def test_another_key_is_not_believed(keyring: Keyring, signed: Path) -> None:
    assert codes(signed, keyring.secrets.keys / "audit.asc") == ["signature_wrong"]


def test_a_manifest_without_its_signature_says_nothing(keyring: Keyring, signed: Path) -> None:
    signed.with_name(NAME + ".asc").unlink()
    assert codes(signed, keyring.secrets.keys / "signer.asc") == ["signature_missing"]


@pytest.mark.parametrize("junk", [b"", b"-----BEGIN PGP SIGNATURE-----\n\nx\n", b"\xff" * 100])
def test_a_damaged_signature_is_told(keyring: Keyring, signed: Path, junk: bytes) -> None:
    signed.with_name(NAME + ".asc").write_bytes(junk)
    assert codes(signed, keyring.secrets.keys / "signer.asc") == ["signature_damaged"]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("junk.asc", "bad_key"),
        ("two.gpg", "bad_key"),
        ("private.asc", "private_key"),
        ("none", "missing_key"),
    ],
)
def test_what_is_no_public_key_is_refused(keyring: Keyring, name: str, code: str) -> None:
    with pytest.raises(BadInput) as refused:
        signature.read_key(keyring.secrets.keys / name)
    assert [problem.code for problem in refused.value.problems] == [code]
    assert "PRIVATE KEY" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("expired", "expired_key"),
        ("revoked", "revoked_key"),
        ("locked", "no_signing"),
        ("empty", "missing_key"),
        ("unknown", "missing_connection"),
    ],
)
def test_a_key_that_must_not_sign_does_not(keyring: Keyring, name: str, code: str) -> None:
    secrets = keyring.secrets
    if name in {"expired", "revoked"}:
        private = keyring.gpg("--armor", "--export-secret-keys", f"{name}@x.org").decode()
        secrets = Secrets(secrets.keys, {name: Connection(name, extra={"private_key": private})})
    assert [problem.code for problem in signature.problems(name, secrets, "daily: sign")] == [code]
    with pytest.raises(BadInput):
        signature.sign(MANIFEST, name, secrets)


def test_a_key_that_has_expired_since_proves_what_it_signed_while_it_lived(
    keyring: Keyring, tmp_path: Path
) -> None:
    path = tmp_path / NAME
    path.write_bytes(MANIFEST)
    made = keyring.gpg(
        *LONG_AGO, "--local-user", "expired@x.org", "--detach-sign", "--armor", str(path), data=None
    )
    assert made == b""
    assert codes(path, keyring.secrets.keys / "expired.asc") == []


def test_a_signature_that_was_made_after_its_key_expired_is_not_believed(
    keyring: Keyring, tmp_path: Path
) -> None:
    """Made while the key had no end; the certificate that counts says that it had ended long before."""
    path = tmp_path / NAME
    path.write_bytes(MANIFEST)
    keyring.gpg(*LONG_AGO, "--quick-gen-key", "ended@x.org", "ed25519", "sign", "never")
    keyring.gpg("--local-user", "ended@x.org", "--detach-sign", "--armor", str(path))
    public = tmp_path / "ended.asc"
    public.write_bytes(keyring.gpg("--armor", "--export", "ended@x.org"))
    assert codes(path, public) == []
    listed = keyring.gpg("--with-colons", "--list-keys", "ended@x.org").decode()
    fingerprint = next(line for line in listed.splitlines() if line.startswith("fpr")).split(":")[9]
    keyring.gpg("--faked-system-time", "20200201T000000!", "--quick-set-expire", fingerprint, "1y")
    public.write_bytes(keyring.gpg("--armor", "--export", "ended@x.org"))
    assert codes(path, public) == ["signature_expired"]


def test_a_signature_of_a_revoked_key_is_not_believed(keyring: Keyring, tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(MANIFEST)
    private = keyring.gpg("--export-secret-keys", "audit@x.org")
    made = pysequoia.sign(
        pysequoia.Tsk.from_bytes(private).signer(), MANIFEST, mode=pysequoia.SignatureMode.DETACHED
    )
    path.with_name(NAME + ".asc").write_bytes(made)
    assert codes(path, keyring.secrets.keys / "audit.asc") == []
    key = pysequoia.Tsk.from_bytes(private)
    certificate = key.extract_certificate()
    revocation = certificate.revoke(key.certifier())
    revoked = tmp_path / "revoked.pgp"
    revoked.write_bytes(bytes(certificate) + bytes(revocation))
    assert codes(path, revoked) == ["signature_revoked"]


def test_which_key_signs_is_told_by_its_fingerprint(keyring: Keyring) -> None:
    listed = keyring.gpg("--with-colons", "--list-keys", "signer@x.org").decode()
    wanted = next(line for line in listed.splitlines() if line.startswith("fpr")).split(":")[9].lower()
    assert signature.used("signer", keyring.secrets) == ("sign the manifest", "signer", wanted)
    assert PASSPHRASE not in str(signature.used("signer", keyring.secrets))
