"""Rules: secrets show nowhere; personal data is left out, protected, or encrypted; what lacks its keys never starts."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import logging
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyrage
import pytest
import pyzipper

from include import pipeline
from include.connections import Connection, Secrets, from_environment
from include.definitions.model import ExportDefinition
from include.errors import BadInput, Permanent
from include.formats.encryption.streaming import OUTPUT, through
from include.formats.verify import verify
from include.pipeline import Context
from include.pipeline.checks import check
from include.pipeline.privacy import secrets_of
from include.pipeline.process import in_process
from include.targets import folder

AT = datetime(2026, 3, 2, 5, tzinfo=UTC)
CANARY = "canary-Zx81-not-to-be-seen-anywhere"
HERE = __name__


def connections(**passwords: str) -> Callable[[str], Connection]:
    """A resolver over connections with these passwords."""
    variables = {
        f"AIRFLOW_CONN_{name.upper()}": f'{{"conn_type": "generic", "password": "{password}"}}'
        for name, password in passwords.items()
    }
    return lambda name: from_environment(name, variables)


def made(context: Context, definition: ExportDefinition) -> tuple[str, list[dict[str, Any]]]:
    key = pipeline.pin(context, definition, occurrence=AT).run_key
    pipeline.snapshot(context, key)
    return key, pipeline.render(context, key)


def rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(gzip.decompress(content).decode("utf-8-sig"))))


def surroundings(*, progress: Any) -> str:
    return repr((dict(os.environ), sys.argv, Path("/proc/self/cmdline").read_text()))


def told(secrets: Secrets, error: type[Exception], *, progress: Any) -> None:
    password = secrets.connections["acme"].password
    raise error(f"login with {password} was refused") from ValueError(password)


def told_badly(secrets: Secrets, *, progress: Any) -> None:
    class Odd(Exception):
        pass

    raise Odd(secrets.connections["acme"].password)


def copied_surroundings(known: object) -> None:
    Path(OUTPUT).write_text(repr((dict(os.environ), sys.argv)))


@pytest.mark.slow
def test_without_fields_personal_ones_are_left_out(
    context: Context, define: Callable[..., ExportDefinition], inline: None
) -> None:
    _, (data, _) = made(context, define())
    (first, *_) = rows(context.store.read(data["key"]))
    assert "customer_id" in first
    assert not {"customer_name", "email"} & set(first)


@pytest.mark.slow
def test_protected_fields_are_in_the_file_protected(
    context: Context, define: Callable[..., ExportDefinition], inline: None
) -> None:
    named = define(id="named", fields=["customer_id", "customer_name", {"field": "email", "header": "Mail"}])
    protected = define(
        id="protected",
        fields=["customer_id", "customer_name", {"field": "email", "header": "Mail"}],
        privacy={
            "fields": {"customer_id": "pseudonym", "customer_name": "mask", "email": "mask"},
            "pseudonym_key": "acme",
        },
    )
    context = replace(context, connections=connections(acme="k" * 32))
    plain, hidden = (
        rows(context.store.read(made(context, each)[1][0]["key"])) for each in (named, protected)
    )
    assert len(plain) == len(hidden) > 100
    pseudonyms = {
        (before["customer_id"], after["customer_id"]) for before, after in zip(plain, hidden, strict=True)
    }
    assert len(pseudonyms) == len({before for before, _ in pseudonyms})
    for before, after in zip(plain, hidden, strict=True):
        assert after["Mail"] == (
            before["Mail"] and f"{before['Mail'][0]}***@{before['Mail'].partition('@')[2]}"
        )
        assert not before["customer_name"] or after["customer_name"] != before["customer_name"]


@pytest.mark.slow
def test_an_encrypted_file_is_made_once_and_delivered_as_it_was_made(
    context: Context, define: Callable[..., ExportDefinition], inline: None, tmp_path: Path
) -> None:
    identity = pyrage.x25519.Identity.generate()
    context.settings.keys.mkdir()
    (context.settings.keys / "finance.pub").write_text(str(identity.to_public()))
    definition = define(file={"encryption": {"kind": "age", "options": {"recipients": ["finance"]}}})
    key, files = made(context, definition)
    assert pipeline.render(context, key) == files
    pipeline.deliver(context, key, 0)
    delivered = (tmp_path / "delivered" / files[0]["name"]).read_bytes()
    assert files[0]["name"].endswith(".csv.gz.age")
    assert delivered == context.store.read(files[0]["key"])
    manifest = json.loads(context.store.read(files[1]["key"]))["files"][0]
    inner = pyrage.decrypt(delivered, [identity])
    assert (manifest["encryption"], manifest["plain_bytes"]) == ("age", len(inner))
    assert manifest["plain_sha256"] == hashlib.sha256(inner).hexdigest() != manifest["sha256"]
    assert verify(tmp_path / "delivered" / files[1]["name"]) == []
    (tmp_path / "delivered" / files[0]["name"]).write_bytes(delivered[:-1] + b"x")
    assert [each.code for each in verify(tmp_path / "delivered" / files[1]["name"])] == ["sha256_differ"]
    assert len(rows(pyrage.decrypt(delivered, [identity]))) == files[0]["rows"]
    assert list(context.settings.scratch.iterdir()) == []


def test_what_lacks_connections_or_keys_is_refused_before_anything_is_made(
    context: Context, define: Callable[..., ExportDefinition]
) -> None:
    definition = define(
        privacy={"fields": {"email": "hash"}, "salt": "salt"},
        file={"encryption": {"kind": "zip_aes", "options": {"password_from": "zip"}}},
    )
    with pytest.raises(BadInput) as missing:
        pipeline.pin(context, definition, occurrence=AT)
    assert [problem.value for problem in missing.value.problems] == ["salt", "zip"]
    short = replace(context, connections=connections(salt="short", zip="short"))
    with pytest.raises(BadInput) as refused:
        pipeline.pin(short, definition, occurrence=AT)
    assert [problem.where for problem in refused.value.problems] == [
        "balances: privacy.salt",
        "balances: file.encryption.options.password_from",
    ]
    assert context.state.runs.list() == []


def test_personal_data_does_not_leave_unencrypted(
    define: Callable[..., ExportDefinition], monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = ["customer_id", "email"]

    def codes(**keys: Any) -> list[str]:
        return [problem.code for problem in check(define(**keys), "x")]

    assert codes(fields=fields) == []
    bucket = [{"kind": "folder", "options": {"folder": "s3://acme/exports"}}]
    assert codes(fields=fields, targets=bucket) == ["plain_pii_outside"]
    monkeypatch.setattr(folder, "OUTSIDE", True)
    assert codes() == []
    assert codes(fields=fields) == ["plain_pii_outside"]
    assert codes(fields=fields, privacy={"fields": {"email": "mask"}}) == []
    assert codes(fields=fields, owner="Jo", privacy={"allow_plain_pii": "Jo"}) == []
    assert codes(fields=fields, owner="Jo", privacy={"allow_plain_pii": "Al"}) == ["not_the_owner"]
    sealed = {"encryption": {"kind": "age", "options": {"recipients": ["x"]}}}
    assert codes(fields=fields, file=sealed) == []
    assert codes(fields=fields, file=sealed, compare={"key": ["customer_id"]}) == ["compare_encrypted"]


def test_only_the_connections_that_a_definition_names_are_resolved(
    context: Context, define: Callable[..., ExportDefinition]
) -> None:
    held = connections(zip="a long enough password", other=CANARY)
    sealed = {"encryption": {"kind": "zip_aes", "options": {"password_from": "zip"}}}
    secrets = secrets_of(replace(context, connections=held), define(file=sealed))
    assert set(secrets.connections) == {"zip"}
    assert secrets_of(context, define()).connections == {}


@pytest.mark.slow
def test_children_have_no_secret_in_environment_or_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_ACME", CANARY)
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", CANARY)
    monkeypatch.setenv("LOYALTY_LEDGER_URL", CANARY)
    assert CANARY not in in_process(f"{HERE}:surroundings", progress=print)
    seen = b"".join(through(f"{HERE}:copied_surroundings", CANARY, [])).decode()
    assert "PATH" in seen
    assert CANARY not in seen


@pytest.mark.parametrize("error", [Permanent, RuntimeError, OSError])
@pytest.mark.slow
def test_an_error_from_a_child_has_its_secrets_hidden(error: type[Exception]) -> None:
    secrets = Secrets(Path(), {"acme": Connection("acme", password=CANARY)})
    with pytest.raises(Exception, match=r"login with \*\*\* was refused") as raised:
        in_process(f"{HERE}:told", secrets, error, progress=print)
    assert isinstance(raised.value, error if error is Permanent else Exception)
    assert CANARY not in "".join([str(raised.value), *raised.value.__notes__])
    with pytest.raises(RuntimeError, match=r"\*\*\*"):
        in_process(f"{HERE}:told_badly", secrets, progress=print)


@pytest.mark.slow
def test_a_secret_is_in_no_file_row_log_or_error(
    context: Context, define: Callable[..., ExportDefinition], tmp_path: Path,
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """One run that succeeds and one that fails, with the canary as salt, key and password."""
    caplog.set_level(logging.DEBUG)
    held = connections(salt=CANARY, acme=CANARY + "2", zip=CANARY + "3")
    context = replace(context, connections=held)
    keys: dict[str, Any] = {
        "privacy": {
            "fields": {"customer_id": "pseudonym", "holder_id": "pseudonym", "email": "hash"}, "salt": "salt", "pseudonym_key": "acme",
        },
        "file": {"encryption": {"kind": "zip_aes", "options": {"password_from": "zip"}}},
    }  # fmt: skip
    key, files = made(context, define(**keys))
    pipeline.deliver(context, key, 0)
    pipeline.settle(context, key)
    delivered = tmp_path / "delivered" / files[0]["name"]
    with pyzipper.AESZipFile(delivered) as archive:
        content = archive.read(archive.namelist()[0], pwd=(CANARY + "3").encode())
    assert len(rows(content)) == files[0]["rows"] > 100
    empty = {"filters": {"field": "tier", "is": "Iron"}, "conditions": {"when_empty": "fail"}}
    with pytest.raises(Permanent) as failed:
        made(context, define(**keys, **empty, id="failing"))
    out, err = capfd.readouterr()
    assert CANARY not in "".join(
        [out, err, caplog.text, repr(failed.value), *getattr(failed.value, "__notes__", [])]
    )
    looked = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(looked) > 5
    assert not [path for path in looked if CANARY.encode() in path.read_bytes()]


@pytest.mark.parametrize(
    ("keys", "codes"),
    [
        ({}, ["personal_names"]),
        ({"targets": [{"kind": "folder", "options": {"folder": "x"}}]}, []),  # in the house
        ({"privacy": {"fields": {"email": "hash"}, "salt": "salt"}}, []),
        ({"owner": "Ann", "privacy": {"allow_plain_pii": "Ann"}}, []),
    ],
)
def test_personal_data_is_in_no_name_of_a_file_that_leaves_the_house(
    define: Callable[..., ExportDefinition], keys: dict[str, Any], codes: list[str]
) -> None:
    sealed = {"kind": "age", "options": {"recipients": ["finance"]}}
    document: dict[str, Any] = {
        "model": "customers",
        "fields": ["customer_id", {"field": "email", "header": "Address"}],
        "file": {"encryption": sealed, "split": {"field": "Address"}},
        "targets": [{"kind": "email", "options": {"connection": "mail", "to": ["ann@shop.example"]}}],
    }
    assert [problem.code for problem in check(define(**document | keys), "x")] == codes
