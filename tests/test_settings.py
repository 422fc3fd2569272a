"""Settings that are wrong are refused with what is right, and never shown with a secret in them."""

from __future__ import annotations

import pytest

from include.errors import BadInput
from include.settings import Settings


def public_url(text: str) -> str:
    return Settings.from_environment({"LOYALTY_PUBLIC_URL": text}).public_url


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("", ""),
        ("https://loyalty.shop.example", "https://loyalty.shop.example"),
        ("https://shop.example:8443/airflow/", "https://shop.example:8443/airflow"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://localhost:8080/", "http://localhost:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_the_public_address(text, url):
    assert public_url(text) == url


@pytest.mark.parametrize(
    "text",
    [
        "http://loyalty.shop.example",  # readable on the way
        "http://127.0.0.1.evil.example",
        "loyalty.shop.example",
        "https://",
        "https://shop.example/?next=x",
        "https://shop.example/#x",
        "https://shop.example:99999",
        "https://shop example",
        "https://shop.example\\@evil.example",
        "https://shöp.example",
        "javascript:alert(1)",
        "ftp://shop.example",
        "https://shop.example/\nSet-Cookie: x",
        "https://[::1",
    ],
)
def test_an_address_that_is_no_public_address(text):
    with pytest.raises(BadInput) as caught:
        public_url(text)
    assert caught.value.problems[0].code == "bad_public_url"


def test_a_login_in_the_public_address_is_refused_unseen():
    with pytest.raises(BadInput) as caught:
        public_url("https://admin:s3cret@shop.example")
    assert "s3cret" not in str(caught.value)


def test_one_process_or_several():
    assert Settings.from_environment({}).shares == 4
    assert Settings.from_environment({"LOYALTY_SHARES": "0"}).shares == 1
    assert Settings.from_environment({"LOYALTY_SHARES": "2"}).shares == 2
    with pytest.raises(BadInput, match="LOYALTY_SHARES"):
        Settings.from_environment({"LOYALTY_SHARES": "many"})
