"""Signatures against published examples and against obstore's, which is another implementation of the same rules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import obstore
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from hypothesis import given
from hypothesis import strategies as st

from include.targets.object_stores import azure_signing, gcs_signing
from include.targets.object_stores.aws_signing import Keys, query, signed
from include.targets.object_stores.client import Ask

EXAMPLE = Keys("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
WHEN = datetime(2013, 5, 24, tzinfo=UTC)


def _signature(ask: Ask) -> str:
    return signed(ask, EXAMPLE, region="us-east-1", service="s3", now=WHEN).headers["authorization"][-64:]


def test_the_examples_of_aws():
    """https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html, all four."""
    host = "https://examplebucket.s3.amazonaws.com"
    get = Ask("GET", f"{host}/test.txt", {"Range": "bytes=0-9"})
    assert _signature(get) == "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    headers = {"Date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"}
    put = Ask("PUT", f"{host}/test%24file.text", headers, b"Welcome to Amazon S3.")
    assert _signature(put) == "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
    lifecycle = Ask("GET", f"{host}/?lifecycle")
    assert _signature(lifecycle) == "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
    listing = Ask("GET", f"{host}/?max-keys=2&prefix=J")
    assert _signature(listing) == "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"


@given(st.dictionaries(st.text(min_size=1), st.text(), max_size=4))
def test_a_query_is_read_as_it_was_written(values):
    assert {name: each[0] for name, each in parse_qs(query(values), keep_blank_values=True).items()} == values


def test_a_link_to_google_is_the_one_that_obstore_makes():
    import json

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    document = {
        "private_key": pem,
        "private_key_id": "1",
        "client_email": "a@b.example",
        "type": "service_account",
    }
    store = obstore.store.GCSStore("bucket", service_account_key=json.dumps(document))
    theirs = obstore.sign(store, "GET", "folder/x-1.csv", timedelta(hours=2))
    stamp = parse_qs(urlsplit(theirs).query)["X-Goog-Date"][0]
    now = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)

    def sign(data: bytes) -> bytes:
        return key.sign(data, padding.PKCS1v15(), hashes.SHA256())

    ours = gcs_signing.address(
        "https://storage.googleapis.com",
        "bucket/folder/x-1.csv",
        "a@b.example",
        sign,
        timedelta(hours=2),
        now,
    )
    assert parse_qs(urlsplit(ours).query) == parse_qs(urlsplit(theirs).query)
    assert urlsplit(ours).path == urlsplit(theirs).path


def test_a_shared_key_signature_covers_what_azure_says():
    """Any change of what is signed changes the signature; what is not in the list does not."""

    def of(**changes: object) -> str:
        base = {"method": "PUT", "url": "https://a.blob.core.windows.net/c/x?comp=block", "body": b"1"}
        headers = {"x-ms-date": "d", "If-None-Match": "*", "Content-MD5": "m"} | changes.pop("headers", {})
        return azure_signing.signed(
            Ask(**{**base, **changes}, headers=headers), account="a", key=b"k"
        ).headers["Authorization"]

    first = of()
    assert first.startswith("SharedKey a:")
    signed_over = [
        {"method": "GET"}, {"url": "https://a.blob.core.windows.net/c/y?comp=block"}, {"body": b"22"},
        {"url": "https://a.blob.core.windows.net/c/x?comp=blocklist"}, {"headers": {"x-ms-meta-a": "1"}},
        {"headers": {"If-None-Match": ""}}, {"headers": {"Content-MD5": "n"}},
    ]  # fmt: skip
    assert len({first, *(of(**change) for change in signed_over)}) == 1 + len(signed_over)
    assert of(headers={"Accept": "x"}) == first
