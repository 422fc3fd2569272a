"""The targets s3, gcs and azure_blob at real servers: wrong rights and options, links, a store that overwrites."""

from __future__ import annotations

import base64
import threading
import urllib.error
import urllib.request
from datetime import timedelta

import pytest

from include.errors import BadInput, Permanent
from include.targets.object_stores import client, s3, sending
from include.targets.protocol import Outcome, Seen, no_progress
from tests.servers import buckets, corners
from tests.targets.object_parcels import check, left_over, outcomes, parcel

pytestmark = pytest.mark.servers


@pytest.fixture(params=corners.KINDS)
def corner(request):
    return corners.corner(request.param)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Small parts, and little patience with servers that are gone."""
    monkeypatch.setattr(sending, "PART_BYTES", 5 << 20)
    monkeypatch.setattr(s3.S3, "most_streamed_bytes", 0)
    monkeypatch.setattr(client, "BACKOFF_SECONDS", 0.01)


def _wrong(kind: str) -> dict:
    if kind == "gcs":
        from cryptography.hazmat.primitives.asymmetric import rsa

        other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        return {"extra": {"keyfile_dict": corners.key_file(corners.corner("gcs").endpoint, other)}}
    return {"password": base64.b64encode(b"wr0ng-s3cret").decode()}


def test_wrong_credentials_are_named_with_the_remedy_and_not_shown(corner, tmp_path):
    changes = _wrong(corner.kind)
    secrets = corner.secrets(**changes)
    with pytest.raises(Permanent, match="check") as caught:
        corner.module.deliver(corner.options(), parcel(tmp_path), secrets, no_progress)
    (problem,) = corner.module.test(corner.options(), secrets)
    for said in (str(caught.value), str(problem)):
        assert secrets.scrub(said) == said
    assert "connection" in str(problem)


def test_no_credentials_at_all_are_bad_input(corner):
    secrets = corner.secrets(login="tester", password="", extra={"keyfile_dict": "", "key_path": ""})
    with pytest.raises(BadInput, match="machine_role"):
        corner.module.test(corner.options(), secrets)


def test_a_missing_bucket_is_named_with_the_remedy(corner, tmp_path):
    options = corner.options(**{"container" if corner.kind == "azure_blob" else "bucket": "not-there"})
    with pytest.raises(Permanent, match=r"not-there.*there is no such (bucket|container); make it"):
        corner.module.deliver(options, parcel(tmp_path), corner.secrets(), no_progress)
    (problem,) = corner.module.test(options, corner.secrets())
    assert "make it" in problem.right


def test_a_missing_right_to_write_is_named(tmp_path):
    corner = corners.corner("s3")
    keys = buckets.S3_READER
    secrets = corner.secrets(login=keys["accessKey"], password=keys["secretKey"])
    with pytest.raises(Permanent, match="s3:PutObject"):
        corner.module.deliver(corner.options(), parcel(tmp_path), secrets, no_progress)
    (problem,) = corner.module.test(corner.options(), secrets)
    assert "s3:PutObject" in problem.right
    assert corner.names() == []


def test_nothing_of_the_environment_is_used(corner, tmp_path, monkeypatch):
    """The store of this machine may be another one, with other keys and another endpoint."""
    for name in (
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_S3",
        "AWS_ENDPOINT",
        "GOOGLE_BASE_URL",
        "AZURE_STORAGE_ENDPOINT",
    ):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "GOOGLE_BEARER_TOKEN"):
        monkeypatch.setenv(name, "wr0ng")
    for name in ("AWS_SKIP_SIGNATURE", "AZURE_SKIP_SIGNATURE", "GOOGLE_SKIP_SIGNATURE", "AWS_REQUEST_PAYER"):
        monkeypatch.setenv(name, "true")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "wr0ng")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", base64.b64encode(b"wr0ng").decode())
    monkeypatch.setenv("AWS_REGION", "mars-north-1")
    one = parcel(tmp_path)
    corner.module.deliver(corner.options(), one, corner.secrets(), no_progress)
    assert corner.module.look(corner.options(), one, corner.secrets()) is Seen.SAME
    assert corner.module.test(corner.options(), corner.secrets()) == []
    assert left_over(corner) == []
    corner.module.link(corner.options(), one, corner.secrets(), timedelta(hours=1))


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url) as answer:
        return answer.read()


@pytest.mark.slow
def test_a_link_gives_the_file_to_whoever_has_it_for_so_long(corner, tmp_path):
    names = {"x.csv": b"1", "a b+c%20=d &#?é漢.csv": b"2"}
    one = parcel(tmp_path, **names)
    corner.module.deliver(corner.options(), one, corner.secrets(), no_progress)
    links = corner.module.link(corner.options(), one, corner.secrets(), timedelta(hours=1))
    assert {name: _get(url) for name, url in links.items()} == names
    url = links["x.csv"]
    other = (
        url[:-1] + ("0" if url[-1] != "0" else "1")
        if corner.kind != "azure_blob"
        else url.replace("sp=r", "sp=rw")
    )
    with pytest.raises(urllib.error.HTTPError):
        _get(other)
    short = corner.module.link(corner.options(), one, corner.secrets(), timedelta(seconds=1))["x.csv"]
    threading.Event().wait(2.5)
    with pytest.raises(urllib.error.HTTPError):
        _get(short)


@pytest.mark.parametrize("expires", [timedelta(0), timedelta(days=8), timedelta(hours=-1)])
def test_a_link_for_ever_or_never_is_refused(corner, tmp_path, expires):
    with pytest.raises(BadInput, match="7 days"):
        corner.module.link(corner.options(), parcel(tmp_path), corner.secrets(), expires)


def test_another_make_of_s3_takes_our_requests_and_the_probe_says_that_it_overwrites(tmp_path):
    corner = corners.corner("s3", "s3 small")
    one = parcel(tmp_path)
    assert (
        outcomes(corner.module.deliver(corner.options(), one, corner.secrets(), no_progress))
        == [Outcome.CREATED] * 2
    )
    assert (
        outcomes(corner.module.deliver(corner.options(), one, corner.secrets(), no_progress))
        == [Outcome.ALREADY_THERE] * 2
    )
    check(corner)
    (problem,) = corner.module.test(corner.options(), corner.secrets())
    assert "overwrites in spite of If-None-Match" in problem.right
    check(corner)
    with pytest.raises(Permanent, match="check login"):
        corner.module.deliver(corner.options(), one, corner.secrets(password="wr0ng"), no_progress)


@pytest.mark.parametrize(
    ("kind", "document", "said"),
    [
        ("s3", {"bucket": "Upper_Case"}, "bucket"),
        ("s3", {"bucket": "b-1", "storage_class": "DEEP_ARCHIVE"}, "cannot be read back"),
        ("s3", {"bucket": "b-1", "kms_key": "arn:aws:kms:x"}, "kms_key needs encryption"),
        ("s3", {"bucket": "b-1", "prefix": "/a"}, "no leading"),
        ("s3", {"bucket": "b-1", "prefix": "a/../b"}, "no leading"),
        ("s3", {"bucket": "b-1", "metadata": {"sha256": "x"}}, "are ours"),
        ("s3", {"bucket": "b-1", "metadata": {"a": "x\r\nX-Evil: 1"}}, "printable"),
        ("s3", {"bucket": "b-1", "content_type": "a\nb"}, "content_type"),
        ("gcs", {"bucket": "b-1", "password": "x"}, "password"),
        ("azure_blob", {"container": "a--b"}, "container"),
        ("azure_blob", {"container": "abc", "storage_class": "Archive"}, "Cool"),
    ],
)
def test_wrong_options_are_refused(kind, document, said):
    module = __import__(f"include.targets.{kind}", fromlist=["Options"])
    with pytest.raises(ValueError, match=said):
        module.Options.model_validate({"connection": "acme", **document})
