"""Headers that say from where somebody comes lead nowhere but to our own pages, and break nothing."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from tests.web.posting import OWN

pytestmark = pytest.mark.slow  # Airflow's application takes seconds to start

ELSEWHERE = [
    "http://x//evil.example/",
    "http://x/\\evil.example",
    "http://x/\\/\\evil.example",
    "//evil.example",
]


@pytest.mark.parametrize("back", [*ELSEWHERE, "http://[bad", "javascript:alert(1)", ""])
@pytest.mark.parametrize("script", [False, True])
def test_the_login_leads_back_to_this_site_only(browser, back, script):
    nobody = browser()
    came = {"hx-request": "true", "hx-current-url": back} if script else {"referer": back}
    answer = nobody.post("/loyalty/exports/new/balance", headers={**OWN, **came})
    assert answer.status_code == (401 if script else 303)
    way = urlsplit(answer.headers["hx-redirect" if script else "location"])
    [next_] = parse_qs(way.query)["next"]
    assert (way.netloc, way.path) == ("", "/api/v2/auth/login")
    assert next_.startswith("/")
    assert next_[1:2] not in ("/", "\\")


def test_an_address_that_is_none_breaks_no_part_of_a_page(browser):
    admin = browser("admin", "ADMIN")
    headers = {"hx-request": "true", "hx-current-url": "http://[bad"}
    assert admin.get("/loyalty/exports", headers=headers).status_code == 200


def test_an_address_with_nothing_leads_to_the_exports(browser):
    for nothing, way in (("/loyalty/nothing", "./exports"), ("/loyalty/exports/", "../exports")):
        page = browser().get(nothing, headers={"accept": "text/html"})
        assert page.status_code == 404
        assert "There is nothing at this address." in page.text
        assert f'href="{way}"' in page.text
    first = browser().get("/loyalty/", follow_redirects=False)
    assert (first.status_code, first.headers["location"]) == (303, "exports")
