"""Rules: 7-Zip opens the archive with the password and with no other; what was compressed already is stored."""

from __future__ import annotations

import io
import os
import shutil
import subprocess

import pytest
import pyzipper

from include.formats.encryption import EncryptionOptions
from tests.formats.encryption.conftest import PASSWORD

PLAIN = b"customer,points\r\n" + b"c1,10.00\r\n" * 50_000
ASKED = EncryptionOptions(kind="zip_aes", options={"password_from": "zip"})


def archive(keyring, name: str = "x.csv") -> bytes:
    pieces = [PLAIN[at : at + 99_999] for at in range(0, len(PLAIN), 99_999)]
    return b"".join(ASKED.encrypt(iter(pieces), name, keyring.secrets))


def test_the_password_opens_it(keyring):
    made = archive(keyring)
    with pyzipper.AESZipFile(io.BytesIO(made)) as opened:
        (entry,) = opened.infolist()
        assert (entry.filename, entry.date_time) == ("x.csv", (1980, 1, 1, 0, 0, 0))
        assert (entry.wz_aes_strength, entry.wz_aes_version) == (3, 2)  # AES-256, and no checksum that tells
        assert opened.read("x.csv", pwd=PASSWORD.encode()) == PLAIN
        with pytest.raises(RuntimeError, match="password"):
            opened.read("x.csv", pwd=b"another password, as long")
    assert b"customer" not in made
    assert len(made) < len(PLAIN) / 5


def test_what_is_compressed_is_stored(keyring):
    assert len(archive(keyring, "x.csv.gz")) > len(PLAIN)


@pytest.mark.skipif(shutil.which("7zz") is None, reason="7-Zip is not installed")
def test_seven_zip_opens_it(keyring, tmp_path):
    (tmp_path / "x.zip").write_bytes(archive(keyring))
    done = subprocess.run(
        ["7zz", "x", "-so", f"-p{PASSWORD}", tmp_path / "x.zip"], capture_output=True, check=True
    )
    assert done.stdout == PLAIN
    wrong = subprocess.run(["7zz", "t", "-pnot it", tmp_path / "x.zip"], capture_output=True, check=False)
    assert wrong.returncode != 0


def test_two_archives_differ(keyring):
    assert archive(keyring) != archive(keyring)


@pytest.mark.parametrize(
    ("connection", "code"), [("short", "short_password"), ("unknown", "missing_connection")]
)
def test_a_password_that_protects_nothing_is_refused(keyring, connection, code):
    asked = EncryptionOptions(kind="zip_aes", options={"password_from": connection})
    assert [problem.code for problem in asked.problems(keyring.secrets)] == [code]


def test_random_content_survives(keyring):
    content = os.urandom(3 << 20)
    made = b"".join(ASKED.encrypt(iter([content]), "x.parquet", keyring.secrets))
    with pyzipper.AESZipFile(io.BytesIO(made)) as opened:
        assert opened.read("x.parquet", pwd=PASSWORD.encode()) == content
