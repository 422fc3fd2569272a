"""Every kind of encryption: both hashes are known, nothing in clear is on disk at any moment, memory is flat."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pyarrow as pa
import pyrage
import pytest
import pyzipper

from include import kinds
from include.errors import Permanent
from include.formats import artefact, encryption
from include.formats.encryption import EncryptionOptions
from include.formats.encryption.streaming import through
from include.formats.options import FileOptions, file_problems
from include.settings import ROOT
from tests.formats.encryption.conftest import PASSWORD, Keyring
from tests.formats.encryption.killed_encryption import COLUMNS, IN_CLEAR
from tests.formats.examples import COLUMNS as ALL_COLUMNS
from tests.formats.examples import table

OPTIONS = {
    "openpgp": {"recipients": ["finance"], "sign_with": "signer"},
    "age": {"recipients": ["finance"]},
    "zip_aes": {"password_from": "zip"},
}
KINDS = sorted(OPTIONS)


def file_of(kind: str, **more) -> FileOptions:
    return FileOptions(encryption=EncryptionOptions(kind=kind, options=OPTIONS[kind]), **more)


def opened(keyring: Keyring, kind: str, sealed: bytes) -> bytes:
    """What the receiver gets, by another program or library than wrote it where there is one."""
    if kind == "openpgp":
        return keyring.decrypted(sealed, "finance@x.org")[0]
    if kind == "age":
        return pyrage.decrypt(sealed, [keyring.identity])
    with pyzipper.AESZipFile(io.BytesIO(sealed)) as archive:
        return archive.read(archive.namelist()[0], pwd=PASSWORD.encode())


def test_these_are_all_kinds():
    assert list(kinds.names(encryption)) == KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_which_keys_are_used_is_told_by_their_public_names(keyring, kind):
    """The audit chain gets this: what a fingerprint is, gpg and age say."""

    def fingerprint(name):
        listed = keyring.gpg("--with-colons", "--list-keys", f"{name}@x.org").decode()
        return next(line for line in listed.splitlines() if line.startswith("fpr")).split(":")[9].lower()

    wanted = {
        "openpgp": [
            ("encrypt", "finance", fingerprint("finance")),
            ("sign", "signer", fingerprint("signer")),
        ],
        "age": [("encrypt", "finance", str(keyring.identity.to_public()))],
        "zip_aes": [("encrypt", "zip", None)],
    }
    asked = EncryptionOptions(kind=kind, options=OPTIONS[kind])
    assert asked.used(keyring.secrets) == wanted[kind]


def test_an_ssh_key_is_told_as_ssh_keygen_tells_it(keyring, tmp_path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "id"], check=True)
    shown = subprocess.run(["ssh-keygen", "-l", "-f", tmp_path / "id.pub"], check=True, capture_output=True)
    literal = (tmp_path / "id.pub").read_text().strip()
    asked = EncryptionOptions(kind="age", options={"recipients": [literal]})
    assert [used.fingerprint for used in asked.used(keyring.secrets)] == [shown.stdout.split()[1].decode()]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.slow
def test_an_artefact_knows_its_hashes_before_and_after(keyring, tmp_path, kind, compression):
    file = file_of(kind, compression=compression)
    plain = artefact.write(tmp_path / "plain", ALL_COLUMNS, [table()], FileOptions(compression=compression))
    made = artefact.write(tmp_path / f"x{file.extension}", ALL_COLUMNS, [table()], file, keyring.secrets)
    sealed = made.path.read_bytes()
    content = opened(keyring, kind, sealed)
    assert (made.bytes, made.sha256) == (len(sealed), hashlib.sha256(sealed).hexdigest())
    assert (made.plain_bytes, made.plain_sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert (made.plain_sha256, made.uncompressed_sha256) == (plain.sha256, plain.uncompressed_sha256)
    assert plain.plain_sha256 == plain.sha256 != made.sha256
    if compression == "gzip":
        assert hashlib.sha256(gzip.decompress(content)).hexdigest() == made.uncompressed_sha256


def test_names_and_media_types_say_how_to_open_it():
    assert [file_of(kind).extension for kind in KINDS] == [".csv.gz.age", ".csv.gz.gpg", ".csv.gz.zip"]
    assert file_of("openpgp").media_type == "application/pgp-encrypted"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.slow
def test_while_it_is_written_nothing_is_in_clear(keyring, tmp_path, kind):
    looked = []

    def batches() -> Iterator[pa.RecordBatch]:
        batch = pa.record_batch([pa.array([IN_CLEAR] * 10_000)], names=["customer_id"])
        for _ in range(10):
            yield batch
            looked.extend(path.read_bytes() for path in tmp_path.iterdir())

    artefact.write(tmp_path / "x", COLUMNS, batches(), file_of(kind, compression="none"), keyring.secrets)
    assert len(looked) >= 10
    assert not any(IN_CLEAR.encode() in content for content in looked)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_kill_leaves_nothing_in_clear(keyring, tmp_path, kind):
    options = {"recipients": ["finance"]} if kind != "zip_aes" else OPTIONS[kind]
    asked = {"keys": str(keyring.secrets.keys), "password": PASSWORD, "options": options}
    command = [sys.executable, "-m", "tests.formats.encryption.killed_encryption", str(tmp_path), kind]
    with subprocess.Popen(command, stdin=subprocess.PIPE, cwd=ROOT, start_new_session=True) as writer:
        assert writer.stdin is not None
        writer.stdin.write(json.dumps(asked).encode())
        writer.stdin.close()
        part = tmp_path / ".part-x.csv"
        give_up = time.monotonic() + 60
        while not (part.exists() and part.stat().st_size > 1 << 20):
            assert writer.poll() is None
            assert time.monotonic() < give_up
            time.sleep(0.01)
        writer.kill()
        assert writer.wait() == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert IN_CLEAR.encode() not in left.read_bytes()


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_rows_that_fail_leave_no_file_and_no_thread(keyring, tmp_path, kind):
    def broken() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch([pa.array(["a"])], names=["customer_id"])
        raise ValueError("the rows stop here")

    before = set(threading.enumerate())
    with pytest.raises(ValueError, match="the rows stop here"):
        artefact.write(tmp_path / "x", COLUMNS, broken(), file_of(kind), keyring.secrets)
    assert set(threading.enumerate()) <= before
    assert list(tmp_path.iterdir()) == []


def fail(_known: object) -> None:
    raise RuntimeError("there is no key")


@pytest.mark.slow
def test_a_process_that_fails_says_why():
    with pytest.raises(Permanent, match="there is no key"):
        list(through(f"{__name__}:fail", None, [b"x" * 1_000_000] * 10))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_memory_does_not_grow_with_the_file(keyring, kind):
    block = bytes(range(256)) * 4096

    def peak(blocks: int) -> int:
        asked = EncryptionOptions(kind=kind, options=OPTIONS[kind])
        for _ in asked.encrypt((block for _ in range(blocks)), "x.csv.gz", keyring.secrets):
            pass
        mine = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return max(mine, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)

    small = peak(16)
    assert peak(96) < small + 16 * 1024  # KiB, for 80 MiB more


@pytest.mark.parametrize(
    ("encryption", "place", "code"),
    [
        ({"kind": "rot13"}, "file.encryption.kind", "unknown_encryption"),
        ({"kind": "age", "options": {"recipient": ["x"]}}, "file.encryption.options.recipient", "extra_forbidden"),
        ({"kind": "age", "options": {"recipients": []}}, "file.encryption.options.recipients", "too_short"),
        ({"kind": "zip_aes", "options": {"password_from": "A b"}}, "file.encryption.options.password_from", "string_pattern_mismatch"),
        ({"options": {}}, "file.encryption.kind", "missing"),
    ],
)  # fmt: skip
def test_wrong_options_are_told_with_their_place(encryption, place, code):
    found = {problem.where: problem.code for problem in file_problems({"encryption": encryption})}
    assert found[place] == code
