"""Rules: gpg decrypts what we wrote and knows the signer; keys that are expired, revoked or not for it are refused."""

from __future__ import annotations

import re

import pytest

from include.errors import BadInput
from include.formats.encryption import EncryptionOptions, openpgp
from tests.formats.encryption.conftest import PASSPHRASE, Keyring

PLAIN = [b"customer,points\r\n", b"c1,10.00\r\n" * 10_000, b""]


def encrypted(keyring: Keyring, **options) -> bytes:
    asked = EncryptionOptions(kind="openpgp", options=options)
    return b"".join(asked.encrypt(iter(PLAIN), "x.csv", keyring.secrets))


def codes(keyring: Keyring, **options) -> dict[str, str]:
    asked = EncryptionOptions(kind="openpgp", options=options)
    return {problem.where: problem.code for problem in asked.problems(keyring.secrets, "f")}


@pytest.mark.slow
def test_each_recipient_reads_it_and_nobody_is_said_to_have_signed(keyring):
    message = encrypted(keyring, recipients=["finance", "connection:partner"])
    for key in ("finance@x.org", "audit@x.org"):
        plain, status = keyring.decrypted(message, key)
        assert plain == b"".join(PLAIN)
        assert "DECRYPTION_OKAY" in status
        assert "SIG" not in status
    assert b"customer" not in message


@pytest.mark.slow
def test_gpg_knows_who_signed(keyring):
    plain, status = keyring.decrypted(
        encrypted(keyring, recipients=["finance.asc"], sign_with="signer"), "finance@x.org"
    )
    assert plain == b"".join(PLAIN)
    assert "GOODSIG" in status
    assert "signer@x.org" in status


@pytest.mark.slow
def test_it_differs_every_time(keyring):
    assert encrypted(keyring, recipients=["finance"]) != encrypted(keyring, recipients=["finance"])


@pytest.mark.slow
def test_every_unfit_key_is_told_at_once(keyring):
    unfit = {
        "expired": "expired_key",
        "expired-subkey": "expired_key",
        "revoked-subkey": "expired_key",
        "revoked": "revoked_key",
        "sign-only": "no_encryption",
        "private": "private_key",
        "junk": "bad_key",
        "two": "bad_key",
        "nobody": "missing_key",
        "../finance": "bad_key_name",
        "/etc/passwd": "bad_key_name",
        "connection:empty": "missing_key",
        "connection:unknown": "missing_connection",
    }
    found = codes(keyring, recipients=["finance", *unfit], sign_with="locked")
    wanted = {f"f.recipients[{index}]": code for index, code in enumerate(unfit.values(), 1)}
    assert found == wanted | {"f.sign_with": "no_signing"}


@pytest.mark.parametrize(
    ("connection", "code"), [("empty", "missing_key"), ("unknown", "missing_connection"), ("signer", None)]
)
def test_the_signing_key_is_checked(keyring, connection, code):
    found = codes(keyring, recipients=["finance"], sign_with=connection)
    assert found == ({} if code is None else {"f.sign_with": code})


def test_refused_keys_are_refused_before_a_row_is_asked_for(keyring):
    def rows():
        raise AssertionError("a row was asked for")
        yield b""

    asked = EncryptionOptions(kind="openpgp", options={"recipients": ["expired"], "sign_with": "locked"})
    with pytest.raises(BadInput) as refused:
        asked.encrypt(rows(), "x.csv", keyring.secrets)
    assert PASSPHRASE not in str(refused.value)
    assert "PRIVATE KEY" not in str(refused.value)


@pytest.mark.slow
def test_only_the_living_subkey_is_encrypted_to(keyring):
    """`renewed` has a subkey that expired in 2021 and a living one."""
    message = encrypted(keyring, recipients=["renewed"])
    listed = keyring.gpg("--list-packets", "--list-only", data=message).decode()
    subkeys = keyring.gpg("--with-colons", "--list-keys", "renewed@x.org").decode().splitlines()
    (living,) = [line.split(":")[4] for line in subkeys if line.startswith("sub:u:")]
    assert re.findall(r":pubkey enc packet: .* keyid (\w+)", listed) == [living]
    assert keyring.decrypted(message, "renewed@x.org")[0] == b"".join(PLAIN)


def test_the_connections_it_needs_are_named():
    options = openpgp.Options(recipients=["finance", "connection:partner"], sign_with="signer")
    assert openpgp.connections(options) == ("partner", "signer")
