"""Rules: age and its library read what we wrote; what is no public key is refused."""

from __future__ import annotations

import shutil
import subprocess

import pyrage
import pytest

from include.errors import BadInput
from include.formats.encryption import EncryptionOptions

PLAIN = [b"customer,points\r\n", b"c1,10.00\r\n" * 10_000]


def encrypted(keyring, *recipients) -> bytes:
    asked = EncryptionOptions(kind="age", options={"recipients": recipients})
    return b"".join(asked.encrypt(iter(PLAIN), "x.csv", keyring.secrets))


def test_each_recipient_reads_it(keyring):
    other = pyrage.x25519.Identity.generate()
    message = encrypted(keyring, "finance", str(other.to_public()))
    for identity in (keyring.identity, other):
        assert pyrage.decrypt(message, [identity]) == b"".join(PLAIN)
    assert b"customer" not in message


def test_a_key_may_come_from_a_connection(keyring):
    assert pyrage.decrypt(encrypted(keyring, "connection:partner_age"), [keyring.identity]) == b"".join(PLAIN)


@pytest.mark.skipif(shutil.which("age") is None, reason="age is not installed")
def test_the_age_program_reads_it(keyring, tmp_path):
    (tmp_path / "identity").write_text(str(keyring.identity))
    done = subprocess.run(
        ["age", "--decrypt", "-i", tmp_path / "identity"],
        input=encrypted(keyring, "finance"), capture_output=True, check=True,
    )  # fmt: skip
    assert done.stdout == b"".join(PLAIN)


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")
def test_an_ssh_key_reads_it(keyring, tmp_path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "id"], check=True)
    message = encrypted(keyring, (tmp_path / "id.pub").read_text().strip())
    identity = pyrage.ssh.Identity.from_buffer((tmp_path / "id").read_bytes())
    assert pyrage.decrypt(message, [identity]) == b"".join(PLAIN)


def test_every_unfit_key_is_told_at_once(keyring):
    unfit = {
        "nobody": "missing_key",
        "private": "private_key",
        "audit": "missing_key",  # there is an OpenPGP key of that name only
        "age1nonsense": "bad_key",
        "ssh-ed25519 nonsense": "bad_key",
        str(keyring.identity): "private_key",
        "connection:partner": "bad_key",
    }
    asked = EncryptionOptions(kind="age", options={"recipients": ["finance", *unfit]})
    with pytest.raises(BadInput) as refused:
        asked.encrypt(iter(PLAIN), "x.csv", keyring.secrets)
    assert [problem.code for problem in refused.value.problems] == list(unfit.values())
    assert str(keyring.identity) not in str(refused.value)
