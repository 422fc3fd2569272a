"""Rule: the installation's settings are read once, all that is wrong with them is said at once."""

from __future__ import annotations

from datetime import timedelta

import pytest

from include.errors import BadInput
from include.notices.installation import Installation
from include.settings import Settings


def read(**values: str) -> Installation:
    return Installation.from_settings(Settings.from_environment(values))


def test_left_out() -> None:
    found = read()
    assert found == Installation(mail="loyalty_mail")
    assert found.when == ("failed", "late", "uncertain")


def test_all_of_them() -> None:
    found = read(
        LOYALTY_MAIL_CONNECTION="our_mail",
        LOYALTY_USER_MAIL_DOMAIN="shop.example",
        LOYALTY_NOTIFY_EMAIL="ops@shop.example, ann@shop.example ops@shop.example",
        LOYALTY_NOTIFY_WEBHOOK="chat",
        LOYALTY_NOTIFY_WHEN="late,failed",
        LOYALTY_NOTIFY_LATE_AFTER="6h",
        LOYALTY_NOTIFY_REQUESTER="false",
        LOYALTY_DIGEST_EMAIL="boss@shop.example",
        LOYALTY_TIMEZONE="Europe/Paris",
    )
    assert found == Installation(
        mail="our_mail",
        demanded=True,
        domain="shop.example",
        emails=("ops@shop.example", "ann@shop.example"),
        webhook="chat",
        when=("failed", "late"),
        late_after=timedelta(hours=6),
        requester=False,
        digest=("boss@shop.example",),
        timezone="Europe/Paris",
    )


def test_everything_wrong_is_said_at_once() -> None:
    wrong = {
        "LOYALTY_MAIL_CONNECTION": "Our Mail",
        "LOYALTY_USER_MAIL_DOMAIN": "@shop",
        "LOYALTY_NOTIFY_EMAIL": "ops",
        "LOYALTY_NOTIFY_WEBHOOK": "https://chat.example",
        "LOYALTY_NOTIFY_WHEN": "done",
        "LOYALTY_NOTIFY_LATE_AFTER": "soon",
        "LOYALTY_NOTIFY_REQUESTER": "perhaps",
        "LOYALTY_DIGEST_EMAIL": "boss@shop.example,boss",
        "LOYALTY_TIMEZONE": "EST",
    }
    with pytest.raises(BadInput) as caught:
        read(**wrong)
    assert {problem.where for problem in caught.value.problems} == set(wrong)
