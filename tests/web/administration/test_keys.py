"""A key is shown once, to who made it; the list knows how it begins."""

from __future__ import annotations

import re

import pytest

from tests.web.posting import post, read, text_of

PAGE = "/loyalty/administration/keys"
WISH = {
    "name": "warehouse",
    "scopes": ["runs:read", "files:read"],
    "days": "30",
    "per_minute": "60",
    "exports": "",
}


@pytest.fixture
def admin(browser):
    return browser("admin", "ADMIN")


@pytest.fixture
def keys(installation):
    return installation.context.state.keys


def test_a_key_is_made_shown_once_and_opens(admin, keys):
    page = read(post(admin, PAGE, **WISH))
    (key,) = page.xpath("//*[@id='new-key']/text()")
    assert re.fullmatch(r"loy_[0-9a-f]{16}_[\w-]{43}", key)
    found = keys.authenticate(key)
    assert (found.name, found.created_by, found.per_minute) == ("warehouse", "admin", 60)
    again = admin.get(PAGE)
    assert key not in again.text
    assert found.shown in again.text
    assert again.headers["cache-control"] == "no-store"


def test_a_key_is_revoked(admin, keys):
    made = keys.make("warehouse", ["runs:read"], by="ann")
    answer = post(admin, f"{PAGE}/{made.record.id}/revoke", PAGE)
    assert answer.status_code == 303
    assert keys.authenticate(made.key) is None
    assert "revoked by admin" in text_of(admin.get(PAGE))


def test_another_key_cannot_be_revoked_by_a_part_of_its_id(admin, keys):
    made = keys.make("warehouse", ["runs:read"], by="ann")
    assert post(admin, f"{PAGE}/{made.record.id[:8]}/revoke", PAGE).status_code == 422
    assert keys.authenticate(made.key)


def test_all_that_is_wrong_is_told_at_once_and_what_was_typed_stays(admin, keys):
    wish = {"name": "<b>", "scopes": ["root"], "days": "0", "per_minute": "many", "exports": "nope"}
    page = read(post(admin, PAGE, **wish), 422)
    assert len(page.xpath("//p[@class='problem']")) == 4
    assert page.xpath("//input[@name='name']/@value") == ["<b>"]
    assert keys.list() == []
