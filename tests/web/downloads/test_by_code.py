"""Who has no login gets the file with a code that was mailed to their address, and nobody else gets anything."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from include.state.audit import Action
from tests.servers.smtp import PASSWORD
from tests.state.test_links import aged, rested, wrong
from tests.web.conftest import URL
from tests.web.runs import CONTENT

pytestmark = pytest.mark.slow  # Airflow's application takes seconds to start

OWN = {"sec-fetch-site": "same-origin"}


def form_of(page, do: str, **fields: str) -> dict[str, str]:
    token = re.search(r'name="page" value="([0-9a-f]{64})"', page.text)
    return {"page": token.group(1) if token else "", "do": do, **fields}


def press(client, token: str, do: str, **fields: str):
    """Open the page and press one of its buttons."""
    page = client.get(f"/loyalty/d/{token}")
    return client.post(f"/loyalty/d/{token}", data=form_of(page, do, **fields), headers=OWN)


def code_of(mail) -> str:
    found = re.search(r"Your code: (\d{4} \d{4})", mail.mails[-1].body("plain"))
    assert found
    return found.group(1)


def test_a_code_comes_by_mail_and_opens_the_file_once(browser, installation, mail):
    client, token = browser(), installation.link()
    page = client.get(f"/loyalty/d/{token}")
    assert page.status_code == 200
    assert "weekly.csv" in page.text
    assert "j•••@s•••.example" in page.text

    asked = press(client, token, "code")
    assert asked.status_code == 200
    assert "The code is on its way" in asked.text
    assert [each.recipient for each in mail.mails] == ["jane.doe@shop.example"]
    text = mail.mails[0].body("plain")
    assert "weekly.csv" in text
    assert token not in mail.mails[0].content.decode()

    got = press(client, token, "file", code=code_of(mail))
    assert got.status_code == 200
    assert got.content == CONTENT
    assert got.headers["content-disposition"].startswith('attachment; filename="weekly.csv"')
    again = press(client, token, "file", code=code_of(mail))
    assert again.status_code == 403
    assert "not valid any more" in again.text
    actions = [each.action for each in installation.context.state.audit.entries()]
    assert actions[-3:] == ["link_made", "code_sent", "downloaded"]
    [entry] = installation.context.state.audit.newest(action=Action.DOWNLOADED)
    assert (entry.actor, entry.subject) == ("jane.doe@shop.example", installation.run.run_key)


@pytest.mark.parametrize("typed", ["{}", "  {} ", "{0:.4}-{0:.9}"])
def test_a_code_is_taken_as_people_type_it(browser, installation, mail, typed):
    client, token = browser(), installation.link()
    press(client, token, "code")
    code = code_of(mail)
    shown = f"{code[:4]}-{code[5:]}" if "-" in typed else typed.format(code)
    full_width = shown.translate({ord("0") + digit: 0xFF10 + digit for digit in range(10)})
    assert press(client, token, "file", code=full_width).content == CONTENT


def test_opening_the_link_spends_nothing(browser, installation, mail):
    token = installation.link()
    client = browser()
    press(client, token, "code")
    before = installation.rows()
    for _ in range(20):
        scanner = browser()
        assert scanner.get(f"/loyalty/d/{token}").status_code == 200
        assert scanner.head(f"/loyalty/d/{token}").status_code == 200
        assert (
            scanner.get(f"/loyalty/d/{token}", params={"do": "file", "code": code_of(mail)}).status_code
            == 200
        )
        assert scanner.put(f"/loyalty/d/{token}").status_code == 405
        assert scanner.delete(f"/loyalty/d/{token}").status_code == 405
    assert installation.rows() == before
    assert len(mail.mails) == 1
    assert press(client, token, "file", code=code_of(mail)).content == CONTENT


def test_unknown_expired_and_revoked_look_the_same_and_name_nobody(browser, installation, mail):
    links = installation.context.state.links
    expired, revoked = installation.link(), installation.link()
    aged(installation.context.state, expired, expires_at=timedelta(days=7))
    links.revoke(links.find(revoked).id)
    client = browser()
    pages = [client.get(f"/loyalty/d/{token}") for token in ("A" * 43, expired, revoked)]
    assert [page.status_code for page in pages] == [404, 410, 410]
    assert len({page.text for page in pages}) == 1
    assert "This link does not work" in pages[0].text
    for token in ("A" * 43, expired, revoked):
        for do in ("code", "file"):
            answer = client.post(f"/loyalty/d/{token}", data={"do": do, "code": "12345678"}, headers=OWN)
            assert answer.text == pages[0].text
    assert mail.mails == []
    assert not any("jane" in page.text or "shop" in page.text for page in pages)


def test_no_page_shows_the_whole_address_and_nobody_else_can_be_mailed(browser, installation, mail):
    client, token = browser(), installation.link()
    page = client.get(f"/loyalty/d/{token}")
    fields = {"recipient": "eve@evil.example", "to": "eve@evil.example", "address": "eve@evil.example"}
    asked = client.post(f"/loyalty/d/{token}", data=form_of(page, "code", **fields), headers=OWN)
    assert [each.recipient for each in mail.mails] == ["jane.doe@shop.example"]
    for answer in (page, asked, press(client, token, "file", code="00000000")):
        assert "jane" not in answer.text
        assert "shop" not in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site", "origin": URL},
        {"sec-fetch-site": "same-site", "origin": URL},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": URL + ".evil.example"},
        {},
    ],
)
def test_a_form_of_another_site_does_nothing(browser, installation, mail, headers):
    client, token = browser(), installation.link()
    page = client.get(f"/loyalty/d/{token}")
    before = installation.rows()
    for do in ("code", "file"):
        answer = client.post(f"/loyalty/d/{token}", data=form_of(page, do, code="12345678"), headers=headers)
        assert answer.status_code == 403
        assert "try once more" in answer.text
    assert installation.rows() == before
    assert mail.mails == []


def test_an_older_browser_says_only_where_the_form_comes_from(browser, installation, mail):
    client, token = browser(), installation.link()
    page = client.get(f"/loyalty/d/{token}")
    answer = client.post(f"/loyalty/d/{token}", data=form_of(page, "code"), headers={"origin": URL})
    assert answer.status_code == 200
    assert len(mail.mails) == 1


def test_a_form_needs_the_token_of_its_own_page_and_browser(browser, installation, mail):
    client, other, token = browser(), browser(), installation.link()
    page, others_page = client.get(f"/loyalty/d/{token}"), other.get(f"/loyalty/d/{token}")
    page_of_another_link = client.get(f"/loyalty/d/{installation.link()}")
    forms = [
        form_of(others_page, "code"),
        form_of(page_of_another_link, "code"),
        form_of(page, "code") | {"page": ""},
        form_of(page, "code") | {"page": "é" * 64},
    ]
    for form in forms:
        assert client.post(f"/loyalty/d/{token}", data=form, headers=OWN).status_code == 403
    client.cookies.delete("loyalty_page")
    assert client.post(f"/loyalty/d/{token}", data=form_of(page, "code"), headers=OWN).status_code == 403
    assert mail.mails == []


def test_guessing_ends_after_five_attempts(browser, installation, mail):
    client, token = browser(), installation.link()
    press(client, token, "code")
    code = code_of(mail).replace(" ", "")
    answers = [press(client, token, "file", code=wrong(code)) for _ in range(5)]
    assert [each.status_code for each in answers] == [403] * 5
    assert "4 more attempts" in answers[0].text
    assert "one more attempt." in answers[3].text
    assert "Ask for another one" in answers[4].text
    assert press(client, token, "file", code=code).status_code == 403
    refused = installation.context.state.audit.newest(action=Action.CODE_REFUSED)
    assert len(refused) == 5


def test_a_code_opens_its_own_link_only(browser, installation, mail):
    client = browser()
    mine, theirs = installation.link(), installation.link("empty.csv", "joe@shop.example")
    press(client, mine, "code")
    code = code_of(mail)
    press(client, theirs, "code")
    assert press(client, theirs, "file", code=code).status_code == 403
    assert press(client, mine, "file", code=code).content == CONTENT


def test_what_is_no_code_costs_no_attempt(browser, installation, mail):
    client, token = browser(), installation.link()
    press(client, token, "code")
    for typed in ("", "1234", "12345678901", "abcdefgh", "1234567a", "' OR 1=1", "\x00" * 8):
        answer = press(client, token, "file", code=typed)
        assert answer.status_code == 422
        assert "8 digits" in answer.text
    assert press(client, token, "file", code=code_of(mail)).content == CONTENT


def test_codes_come_a_minute_apart(browser, installation, mail):
    client, token = browser(), installation.link()
    press(client, token, "code")
    early = press(client, token, "code")
    assert (early.status_code, early.headers["retry-after"]) == (429, "60")
    assert len(mail.mails) == 1
    rested(installation.context.state, token)
    assert press(client, token, "code").status_code == 200
    assert len(mail.mails) == 2


def test_mail_that_does_not_go_is_said_and_costs_nothing(browser, installation, mail, caplog):
    client, token = browser(), installation.link()
    for refusal in ("550 no such mailbox", "450 try later"):
        mail.say("RCPT", refusal)
        answer = press(client, token, "code")
        assert answer.status_code == 503
        assert "could not be mailed" in answer.text
    mail.answers.clear()
    assert "no such mailbox" in caplog.text
    assert press(client, token, "code").status_code == 200
    assert press(client, token, "file", code=code_of(mail)).content == CONTENT


def test_without_a_mail_connection_the_operator_is_told_which(browser, installation, caplog):
    answer = press(browser(), installation.link(), "code")
    assert answer.status_code == 503
    assert "loyalty_mail" in caplog.text
    assert "loyalty_mail" not in answer.text


def test_neither_token_nor_code_nor_password_is_in_a_log(browser, installation, mail, capfd, caplog):
    client, token = browser(), installation.link()
    mail.say("AUTH", f"535 {PASSWORD} is wrong")
    press(client, token, "code")
    mail.answers.clear()
    press(client, token, "code")
    code = code_of(mail)
    press(client, token, "file", code=wrong(code.replace(" ", "")))
    press(client, token, "file", code=code)
    client.post(f"/loyalty/d/{token}/more/{token}")
    client.get(f"/loyalty/D/{token}")
    printed = "".join(capfd.readouterr()) + caplog.text
    assert "/loyalty/d/***" in printed
    for secret in (token, code, code.replace(" ", ""), PASSWORD):
        assert secret not in printed


def test_an_address_that_is_not_quite_the_links_is_not_answered_with_the_token(browser, installation):
    """A redirect would name the scheme that we see, which is http where a proxy ends TLS."""
    token = installation.link()
    for method in ("GET", "POST"):
        answer = browser().request(method, f"/loyalty/d/{token}/")
        assert answer.status_code == 404
        assert token not in str(answer.headers) + answer.text


def test_a_file_that_is_gone_is_said_so_before_a_code_is_spent(browser, installation, mail):
    client, token = browser(), installation.link()
    press(client, token, "code")
    installation.context.store.delete(installation.entry("weekly.csv")["key"])
    assert press(client, token, "file", code=code_of(mail)).status_code == 410
    assert installation.context.state.links.find(token).downloads == 0


def test_a_form_is_small(browser, installation):
    token = installation.link()
    many = {f"field-{number}": "x" for number in range(200)}
    assert browser().post(f"/loyalty/d/{token}", data=many, headers=OWN).status_code == 403
    assert browser().post(f"/loyalty/d/{token}", content=b"\xff\x00&&=%zz", headers=OWN).status_code == 403
    answer = browser().post(f"/loyalty/d/{token}", data={"do": "file", "code": "1" * 10_000}, headers=OWN)
    assert answer.status_code == 413


def test_every_page_forbids_what_it_does_not_need(browser, installation, mail):
    client, token = browser(), installation.link()
    pages = [
        client.get(f"/loyalty/d/{token}"),
        press(client, token, "code"),
        press(client, token, "file", code="x"),
        client.get("/loyalty/d/unknown"),
    ]
    for page in pages:
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["referrer-policy"] == "no-referrer"
        assert page.headers["x-content-type-options"] == "nosniff"
        assert "<script" not in page.text
        assert " style=" not in page.text
        assert "http://" not in page.text
        assert "https://" not in page.text
    cookie = pages[0].headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
