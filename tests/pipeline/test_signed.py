"""Rules: a manifest is signed once, its signature is there before it, and who used which key is in the audit chain."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pysequoia
import pytest

from include import pipeline
from include.connections import Connection, from_environment
from include.definitions.model import ExportDefinition, version
from include.errors import BadInput
from include.formats import signature
from include.formats.manifest import is_about
from include.formats.verify import verify
from include.pipeline import Context, render_stage
from include.state.audit import Action

AT = datetime(2026, 3, 2, 5, tzinfo=UTC)
NAME = "balances_2026-03-02T0600.csv.gz"


@pytest.fixture(scope="module")
def key() -> pysequoia.Tsk:
    return pysequoia.Tsk.generate("exports@x.org")


@pytest.fixture
def signing(context: Context, key: pysequoia.Tsk) -> Context:
    """The context with the connection `our_key`."""
    extra = {"private_key": str(key)}
    variables = {"AIRFLOW_CONN_OUR_KEY": json.dumps({"conn_type": "generic", "extra": extra})}

    def resolve(name: str) -> Connection:
        return from_environment(name, variables)

    return replace(context, connections=resolve)


def rendered(context: Context, definition: ExportDefinition) -> tuple[str, list[dict[str, Any]]]:
    run = pipeline.pin(context, definition, occurrence=AT).run_key
    pipeline.snapshot(context, run)
    return run, pipeline.render(context, run)


@pytest.mark.slow
def test_the_signature_arrives_before_the_manifest_and_the_public_key_proves_it(
    signing: Context, define: Callable[..., ExportDefinition], key: pysequoia.Tsk, tmp_path: Path
) -> None:
    run, files = rendered(signing, define(sign="our_key"))
    names = [NAME, NAME + ".manifest.json.asc", NAME + ".manifest.json"]
    assert [each["name"] for each in files] == names
    assert [is_about(name) for name in names] == [False, True, True]
    receipt = pipeline.deliver(signing, run, 0)
    assert [each["name"] for each in receipt["files"]] == names
    assert pipeline.settle(signing, run)["status"] == "done"
    manifest = tmp_path / "delivered" / names[-1]
    assert verify(manifest) == []
    assert signature.check(manifest, key.extract_certificate()) == []
    other = pysequoia.Tsk.generate("other@x.org").extract_certificate()
    assert [problem.code for problem in signature.check(manifest, other)] == ["signature_wrong"]


@pytest.mark.slow
def test_a_crash_before_the_files_are_known_does_not_make_a_second_signature(
    signing: Context, define: Callable[..., ExportDefinition], inline: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed with the signature in the store and the run's record without files; and before the signature was made."""
    definition = define(sign="our_key")
    with monkeypatch.context() as crash:
        crash.setattr(type(signing.state.runs), "pin_artefacts", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            rendered(signing, definition)
    run = signing.state.runs.list()[0].run_key
    (kept,) = [each.key for each in signing.store.list(f"artefacts/{run}") if each.key.endswith(".asc")]
    before = signing.store.read(kept)
    files = pipeline.render(signing, run)
    assert signing.store.read(files[1]["key"]) == before
    assert [each["name"] for each in signing.state.runs.get(run).files] == [each["name"] for each in files]

    with monkeypatch.context() as crash:
        crash.setattr(render_stage, "signed", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            rendered(signing, define(sign="our_key", id="second"))
    _, files = rendered(signing, define(sign="our_key", id="second"))
    assert [is_about(each["name"]) for each in files] == [False, True, True]
    assert len(signing.state.chain.list("second")) == 1


def test_a_definition_that_signs_with_no_key_is_refused_before_anything_is_read(
    context: Context, define: Callable[..., ExportDefinition]
) -> None:
    with pytest.raises(BadInput) as refused:
        pipeline.pin(context, define(sign="our_key"), occurrence=AT)
    assert [problem.code for problem in refused.value.problems] == ["missing_connection"]


def test_a_key_that_cannot_sign_is_refused_with_its_place(
    context: Context, define: Callable[..., ExportDefinition]
) -> None:
    def junk(name: str) -> Connection:
        return Connection(name, extra={"private_key": "junk"})

    with pytest.raises(BadInput) as refused:
        pipeline.pin(replace(context, connections=junk), define(sign="our_key"), occurrence=AT)
    assert [(problem.where, problem.code) for problem in refused.value.problems] == [
        ("balances: sign", "bad_key")
    ]


def test_signing_is_another_version(define: Callable[..., ExportDefinition]) -> None:
    """What is delivered differs: by one file."""
    assert version(define(sign="our_key")) != version(define())


@pytest.mark.slow
def test_every_use_of_a_key_is_told_by_name_and_fingerprint(
    signing: Context, define: Callable[..., ExportDefinition], key: pysequoia.Tsk, inline: None
) -> None:
    public = str(key.extract_certificate())
    secret = "a salt of at least thirty-two characters"

    def resolve(name: str) -> Connection:
        if name == "our_key":
            return signing.connections(name)
        return Connection(name, password=secret, extra={"public_key": public})

    keys = {
        "sign": "our_key",
        "privacy": {"fields": {"customer_id": "pseudonym", "holder_id": "pseudonym"}, "salt": "salt", "pseudonym_key": "acme"},
        "file": {
            "encryption": {
                "kind": "openpgp", "options": {"recipients": ["connection:partner"], "sign_with": "our_key"},
            }
        },
    }  # fmt: skip
    run, _ = rendered(replace(signing, connections=resolve), define(**keys))
    told = signing.state.audit.newest(action=Action.KEY_USED)[::-1]
    fingerprint = key.extract_certificate().fingerprint
    assert [(entry.subject, entry.detail["purpose"], entry.detail["fingerprint"]) for entry in told] == [
        ("acme", "pseudonym", None),
        ("connection:partner", "encrypt", fingerprint),
        ("our_key", "sign", fingerprint),
        ("our_key", "sign the manifest", fingerprint),
    ]
    assert {entry.detail["run_key"] for entry in told} == {run}
    assert secret not in repr(told)
    assert "PRIVATE" not in repr(told)
    order = [entry.action for entry in signing.state.audit.entries()]
    assert order.index("key_used") < order.index("rendered")
