"""Whose credentials are used: each kind of connection against a small server that speaks as the vendor's does."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from include.connections import Connection
from include.errors import BadInput, Permanent
from include.targets.object_stores.aws_credentials import Credentials
from include.targets.object_stores.azure_credentials import account_of

ENDS = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
STS = f"""<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIA1</AccessKeyId>
<SecretAccessKey>a/b+c</SecretAccessKey><SessionToken>t&amp;t==</SessionToken>
<Expiration>{ENDS:%Y-%m-%dT%H:%M:%SZ}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"""
DOCUMENT = {
    "AccessKeyId": "ASIA1",
    "SecretAccessKey": "a/b+c",
    "Token": "t&t==",
    "Expiration": f"{ENDS.isoformat()}",
}


@contextmanager
def server(answers: dict[str, str | dict]) -> Iterator[tuple[str, list]]:
    """Answers by path; keeps what was asked: method, path, query, headers, form."""
    asked: list = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            """Say nothing."""

        def do_GET(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            parts = urlsplit(self.path)
            asked.append(
                (self.command, parts.path, parse_qs(parts.query), dict(self.headers), parse_qs(body))
            )
            found = answers.get(parts.path)
            text = found if isinstance(found, str) else json.dumps(found)
            self.send_response(404 if found is None else 200)
            self.end_headers()
            self.wfile.write(text.encode())

        do_POST = do_PUT = do_GET

    here = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=here.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{here.server_port}", asked
    finally:
        here.shutdown()
        here.server_close()
        thread.join()


@pytest.fixture(autouse=True)
def _no_machine(monkeypatch):
    for name in (
        "AWS_ROLE_ARN",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AZURE_FEDERATED_TOKEN_FILE",
        "IDENTITY_ENDPOINT",
    ):
        monkeypatch.delenv(name, raising=False)


def aws(**more) -> Connection:
    return Connection("acme", **{"login": "AKIA1", "password": "s3cret", **more})


def test_keys_of_the_connection_are_used_as_they_are():
    assert Credentials(aws())()[:3] == ("AKIA1", "s3cret", "")
    assert Credentials(aws(extra={"aws_session_token": "t"}))().token == "t"


def test_a_role_is_assumed_with_the_keys_once_for_as_long_as_it_holds():
    with server({"/": STS}) as (url, asked):
        extra = {
            "sts_endpoint_url": url,
            "role_arn": "arn:aws:iam::1:role/exports",
            "assume_role_kwargs": {"ExternalId": "e1", "DurationSeconds": 900},
            "region_name": "eu-west-1",
        }
        found = Credentials(aws(extra=extra))
        assert found() == ("ASIA1", "a/b+c", "t&t==", ENDS)
        found()
    ((method, _, _, headers, form),) = asked
    assert method == "POST"
    assert "Credential=AKIA1/" in headers["authorization"]
    assert "/eu-west-1/sts/aws4_request" in headers["authorization"]
    assert form["RoleArn"] == ["arn:aws:iam::1:role/exports"]
    assert (form["ExternalId"], form["DurationSeconds"]) == (["e1"], ["900"])


def test_keys_that_end_soon_are_asked_for_again():
    soon = STS.replace(
        f"{ENDS:%Y-%m-%dT%H:%M:%SZ}", f"{datetime.now(UTC) + timedelta(minutes=4):%Y-%m-%dT%H:%M:%SZ}"
    )
    with server({"/": soon}) as (url, asked):
        found = Credentials(aws(extra={"sts_endpoint_url": url, "role_arn": "r"}))
        found()
        found()
    assert len(asked) == 2


def test_a_refused_role_is_permanent_and_says_whom_to_ask():
    with server({}) as (url, _), pytest.raises(Permanent, match="whom the role trusts"):
        Credentials(aws(extra={"sts_endpoint_url": url, "role_arn": "r"}))()


def test_the_role_of_an_instance(monkeypatch):
    place = "/latest/meta-data/iam/security-credentials/"
    with server({"/latest/api/token": "tok", place: "exports", place + "exports": DOCUMENT}) as (url, asked):
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", url)
        assert Credentials(aws(login="", extra={"machine_role": True}))() == ("ASIA1", "a/b+c", "t&t==", ENDS)
    assert [each[0] for each in asked] == ["PUT", "GET", "GET"]
    assert asked[2][3]["x-aws-ec2-metadata-token"] == "tok"


def test_the_role_of_a_container(monkeypatch, tmp_path):
    (tmp_path / "token").write_text("tok\n")
    with server({"/keys": DOCUMENT}) as (url, asked):
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{url}/keys")
        monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(tmp_path / "token"))
        assert Credentials(aws(login="", extra={"machine_role": True}))().access == "ASIA1"
    assert asked[0][3]["Authorization"] == "tok"


def test_keys_of_the_environment_are_not_the_connection_s(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA9")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "other")
    with pytest.raises(BadInput, match="machine_role"):
        Credentials(aws(login=""))


def azure(**more) -> Connection:
    return Connection("acme", **more)


def test_azure_by_key_signature_and_connection_string():
    by_key = account_of(azure(login="ours", password="a2V5"))
    assert (by_key.name, by_key.endpoint, by_key.key) == (
        "ours",
        "https://ours.blob.core.windows.net",
        b"key",
    )
    by_sas = account_of(azure(host="ours.blob.core.windows.net", extra={"sas_token": "?sv=1&sig=x"}))
    assert (by_sas.name, by_sas.endpoint, by_sas.sas) == (
        "ours",
        "https://ours.blob.core.windows.net",
        "sv=1&sig=x",
    )
    text = (
        "DefaultEndpointsProtocol=https;AccountName=ours;AccountKey=a2V5;EndpointSuffix=core.chinacloudapi.cn"
    )
    by_text = account_of(azure(extra={"connection_string": text}))
    assert (by_text.endpoint, by_text.key) == ("https://ours.blob.core.chinacloudapi.cn", b"key")


def test_azure_by_an_application_asks_for_one_token():
    with server({"/tenant-1/oauth2/v2.0/token": {"access_token": "tok", "expires_in": 3600}}) as (url, asked):
        extra = {"tenant_id": "tenant-1", "authority_host": url}
        found = account_of(azure(login="app", password="pw", host="ours.blob.core.windows.net", extra=extra))
        assert found.name == "ours"
        assert found.bearer is not None
        assert (found.bearer().token, found.bearer().token) == ("tok", "tok")
    ((_, _, _, _, form),) = asked
    assert (form["client_id"], form["client_secret"]) == (["app"], ["pw"])
    assert form["scope"] == ["https://storage.azure.com/.default"]


def test_azure_by_the_machine_s_identity(monkeypatch):
    with server({"/msi": {"access_token": "tok", "expires_in": "3600"}}) as (url, asked):
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{url}/msi")
        monkeypatch.setenv("IDENTITY_HEADER", "h")
        extra = {"machine_role": True, "managed_identity_client_id": "m1"}
        found = account_of(azure(login="ours", extra=extra))
        assert found.bearer is not None
        assert found.bearer().token == "tok"
    assert asked[0][2]["client_id"] == ["m1"]
    assert asked[0][3]["X-IDENTITY-HEADER"] == "h"


def test_azure_application_that_is_refused_names_the_remedy_and_not_the_secret():
    with server({}) as (url, _):
        extra = {"tenant_id": "t", "authority_host": url}
        found = account_of(azure(login="app", password="pw-s3cret", host="x.y", extra=extra))
        assert found.bearer is not None
        with pytest.raises(Permanent, match="check tenant_id") as caught:
            found.bearer()
    assert "pw-s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "login holds the name"),
        ({"login": "ours"}, "password holds"),
        ({"login": "a", "password": "!"}, "base64"),
    ],
)
def test_azure_connections_that_say_too_little(changes, said):
    with pytest.raises(BadInput, match=said):
        account_of(azure(**changes))
