"""A folder of OpenPGP and age keys as real gpg and age made them: living ones, and every kind that must be refused."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyrage
import pytest

from include.connections import Connection, Secrets

PASSPHRASE = "open sesame, please"
PASSWORD = "a password of many words"
LONG_AGO = ("--faked-system-time", "20200101T000000!")


@dataclass(frozen=True)
class Keyring:
    """The private side, in gpg's home, and what our side has: the folder of public keys and connections."""

    home: Path
    secrets: Secrets
    identity: pyrage.x25519.Identity

    def gpg(self, *arguments: str, data: bytes | None = None, passphrase: str = "") -> bytes:
        return gpg(self.home, *arguments, data=data, passphrase=passphrase).stdout

    def decrypted(self, message: bytes, key: str) -> tuple[bytes, str]:
        """What gpg makes of a message with one key alone, and its status lines."""
        secret = self.gpg("--export-secret-keys", key)
        with tempfile.TemporaryDirectory(prefix="gpg-", dir="/tmp") as name:
            home = Path(name)
            try:
                gpg(home, "--import", data=secret)
                gpg(home, "--import", data=self.gpg("--export"))
                done = gpg(home, "--status-fd", "2", "--decrypt", data=message)
            finally:
                end_agent(home)
        return done.stdout, done.stderr.decode("utf-8", "replace")


def gpg(
    home: Path, *arguments: str, data: bytes | None = None, passphrase: str = ""
) -> subprocess.CompletedProcess[bytes]:
    words = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--pinentry-mode", "loopback"]
    return subprocess.run(
        [*words, "--passphrase", passphrase, *arguments], input=data, capture_output=True, check=True
    )


def end_agent(home: Path) -> None:
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)


@pytest.fixture(scope="session")
def keyring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyring]:
    """Keys by name: finance and audit live; the others are named after what is wrong with them."""
    if shutil.which("gpg") is None:
        pytest.skip("gpg is not installed")
    home = Path(tempfile.mkdtemp(prefix="gpg-", dir="/tmp"))  # its sockets need a short path
    try:
        yield _made(home, tmp_path_factory.mktemp("keys"))
    finally:
        end_agent(home)
        shutil.rmtree(home, ignore_errors=True)


def _made(home: Path, folder: Path) -> Keyring:
    def fingerprint(name: str) -> str:
        listed = gpg(home, "--with-colons", "--list-keys", f"{name}@x.org").stdout.decode()
        return next(line for line in listed.splitlines() if line.startswith("fpr")).split(":")[9]

    def make(name: str, kind: str, use: str, expires: str, *more: str, passphrase: str = "") -> None:
        gpg(home, *more, "--quick-gen-key", f"{name}@x.org", kind, use, expires, passphrase=passphrase)

    for name in ("finance", "audit", "revoked", "private"):
        make(name, "future-default", "default", "never")
    make("signer", "future-default", "default", "never", passphrase=PASSPHRASE)
    make("sign-only", "ed25519", "sign", "never")
    make("expired", "future-default", "default", "1y", *LONG_AGO)
    for name in ("expired-subkey", "revoked-subkey", "renewed"):
        make(name, "ed25519", "sign", "never", *LONG_AGO)
    for name in ("expired-subkey", "renewed"):
        gpg(home, *LONG_AGO, "--quick-add-key", fingerprint(name), "cv25519", "encr", "1y")
    for name in ("revoked-subkey", "renewed"):
        gpg(home, "--quick-add-key", fingerprint(name), "cv25519", "encr", "never")
    revocation = (home / "openpgp-revocs.d" / f"{fingerprint('revoked')}.rev").read_text()
    gpg(home, "--import", data=revocation.replace(":-----BEGIN", "-----BEGIN").encode())
    words = ["gpg", "--homedir", str(home), "--command-fd", "0", "--pinentry-mode", "loopback", "--no-tty"]
    subprocess.run(
        [*words, "--passphrase", "", "--edit-key", "revoked-subkey@x.org", "key 1", "revkey", "save"],
        input=b"y\n0\n\ny\n", capture_output=True, check=True,
    )  # fmt: skip
    names = [
        "finance",
        "audit",
        "revoked",
        "signer",
        "sign-only",
        "expired",
        "expired-subkey",
        "revoked-subkey",
        "renewed",
    ]
    for name in names:
        exported = gpg(home, "--armor", "--export", f"{name}@x.org").stdout
        (folder / f"{name}.asc").write_bytes(exported)
    (folder / "private.asc").write_bytes(gpg(home, "--armor", "--export-secret-keys", "private@x.org").stdout)
    (folder / "junk.asc").write_text("not a key")
    (folder / "two.gpg").write_bytes(gpg(home, "--export", "finance@x.org", "audit@x.org").stdout)
    identity = pyrage.x25519.Identity.generate()
    (folder / "finance.pub").write_text(f"# finance\n{identity.to_public()}\n")
    (folder / "private.pub").write_text(f"# public key: {identity.to_public()}\n{identity}\n")
    signer = gpg(
        home, "--armor", "--export-secret-keys", "signer@x.org", passphrase=PASSPHRASE
    ).stdout.decode()
    public = (folder / "audit.asc").read_text()
    found = [
        Connection("signer", password=PASSPHRASE, extra={"private_key": signer}),
        Connection("locked", password="not the passphrase", extra={"private_key": signer}),
        Connection("empty"),
        Connection("partner", extra={"public_key": public}),
        Connection("partner_age", extra={"public_key": str(identity.to_public())}),
        Connection("zip", password=PASSWORD),
        Connection("short", password="short"),
    ]
    return Keyring(home, Secrets(folder, {each.name: each for each in found}), identity)
