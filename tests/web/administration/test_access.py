"""The matrix says who may do what; what is granted there takes effect, and is told."""

from __future__ import annotations

import pytest

from include.state.audit import Action
from include.state.grants import EVERY
from tests.web.posting import post, read, text_of

PAGE = "/loyalty/administration/access"


@pytest.fixture
def admin(browser):
    return browser("admin", "ADMIN")


@pytest.fixture
def grants(installation):
    return installation.context.state.grants


def row(page, role: str) -> list[str]:
    """What the matrix says of a role, right by right."""
    (found,) = [each for each in page.xpath("//tbody/tr") if each.xpath("string(th)").strip() == role]
    return [" ".join(cell.text_content().split()) for cell in found.xpath("td")]


def test_the_matrix_says_what_airflow_gives_and_what_is_granted(admin, grants):
    grants.grant("op", "personal", by="ann")
    grants.grant("finance", "edit", "month-end", by="ann")
    page = read(admin.get(PAGE))
    assert row(page, "viewer") == ["yes", "no", "no", "no", "no", "no"]
    assert row(page, "op") == ["yes", "yes", "no", "all exports Revoke", "no", "no"]
    assert row(page, "admin") == ["yes"] * 6
    assert row(page, "finance") == ["as Airflow says", "as Airflow says", "month-end Revoke", *["no"] * 3]


def test_it_says_who_i_am(admin):
    told = text_of(admin.get(PAGE))
    assert (
        "Name admin Roles ADMIN For all exports you may see, run, edit, personal, import, administer" in told
    )


def test_a_right_is_granted_and_revoked_by_forms(admin, browser, grants, installation):
    op = browser("olga", "OP")
    assert op.get(PAGE).status_code == 403
    answer = post(admin, PAGE, role="OP", right="administer", export="")
    assert answer.status_code == 303
    assert "OP may now administer all exports." in text_of(admin.get(PAGE))
    grants._known = None
    assert op.get(PAGE).status_code == 200
    gone = post(admin, f"{PAGE}/revoke", PAGE, role="op", right="administer", export=EVERY)
    assert gone.status_code == 303
    grants._known = None
    told = [(each.actor, each.action, each.subject) for each in installation.context.state.audit.entries()][
        -2:
    ]
    assert told == [("admin", Action.GRANTED, "op"), ("admin", Action.GRANT_REVOKED, "op")]


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"role": "", "right": "edit", "export": ""}, "the name of a role"),
        ({"role": "admin", "right": "edit", "export": ""}, "has every right"),
        ({"role": "op", "right": "fly", "export": ""}, "one of edit, personal, import, administer"),
        ({"role": "op", "right": "edit", "export": "no-such"}, "the id of an export"),
        (
            {"role": "<img src=x onerror=alert(1)>" * 10, "right": "edit", "export": "'\"><b>"},
            "the id of an export",
        ),
    ],
)
def test_what_is_wrong_stands_beside_its_field_and_what_was_typed_stays(admin, grants, fields, wrong):
    answer = post(admin, PAGE, **fields)
    page = read(answer, 422)
    assert wrong in " ".join(page.xpath("//p[@class='problem']/text()"))
    assert page.xpath("//input[@id='role']/@value") == [fields["role"]]
    assert not page.xpath("//img | //b")
    assert grants.list() == []
