"""Rule: a person gets a file with a browser and their mail, and nobody else does."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from include.orchestration.environment import USER, password
from include.pipeline import Context
from include.pipeline.links import with_code, with_login
from include.settings import Settings
from include.state.audit import Action
from tests.browser import pages

pytestmark = [
    pytest.mark.servers,
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not Path(pages.CHROMIUM).exists(), reason="chromium is not installed"),
]
RECIPIENT = "jane.doe@shop.example"
LOOKS = {
    "light": {"color_scheme": "light", "viewport": {"width": 1280, "height": 900}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1280, "height": 900}},
    "phone": {"color_scheme": "light", "viewport": {"width": 360, "height": 740}, "is_mobile": True},
    "phone-dark": {"color_scheme": "dark", "viewport": {"width": 360, "height": 740}, "is_mobile": True},
}


@dataclass(frozen=True)
class Delivered:
    """A run that Airflow made, and its data file."""

    server: Any
    context: Context
    run_key: str
    entry: dict[str, Any]

    def link(self) -> str:
        return with_code(self.context, self.run_key, self.entry["name"], RECIPIENT)

    @property
    def content(self) -> bytes:
        return self.context.store.read(self.entry["key"])


@pytest.fixture(scope="module")
def mailed_run(airflow_server) -> str:
    """A run that mails links, begun before the other one, beside which it waits."""
    return airflow_server.running.client.trigger("mailed-balances", as_of="2026-04-01T00:00:00Z")


@pytest.fixture(scope="module")
def delivered(airflow_server, mailed_run) -> Delivered:
    client = airflow_server.running.client
    run_id = client.trigger("weekly-history", datetime(2026, 5, 11, 7, tzinfo=UTC))
    state = client.wait_for_run("weekly-history", run_id, 600)
    tasks = client.tasks("weekly-history", run_id)
    assert state == "success", [
        client.log("weekly-history", run_id, task)[-3000:] for task in tasks if task["state"] == "failed"
    ]
    key = client.xcom("weekly-history", run_id, "pin", "run_key")
    home = {"LOYALTY_HOME": str(airflow_server.home), "LOYALTY_PUBLIC_URL": airflow_server.running.url}
    context = Context.from_settings(Settings.from_environment(home))
    return Delivered(airflow_server, context, key, context.state.runs.get(key).files[0])


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=pages.CHROMIUM, args=pages.QUIET)
        yield browser
        browser.close()


@contextlib.contextmanager
def opened(chromium: Browser, address: str, *, ours: bool = True, **look: Any):
    """Yield a page of a browser that nobody is logged in with; ours: the browser complains about nothing in it."""
    context = chromium.new_context(**look)
    page = context.new_page()
    page.set_default_timeout(pages.PATIENCE)
    expect.set_options(timeout=pages.PATIENCE)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(address)
    with pages.listening():
        yield page
    context.close()
    assert not ours or not [each for each in complaints if "status of 4" not in each]


def mailed_code(delivered: Delivered, before: int) -> str:
    until = time.monotonic() + 120
    while len(mails := delivered.server.mail.of(RECIPIENT)) <= before:
        assert time.monotonic() < until, "no mail came"
        time.sleep(0.1)
    found = re.search(r"Your code: (\d{4} \d{4})", mails[-1].body("plain"))
    assert found
    return found.group(1)


def downloaded(page: Page, press) -> bytes:
    with page.expect_download() as waiting:
        press()
    assert waiting.value.failure() is None
    return Path(waiting.value.path()).read_bytes()


@pytest.mark.parametrize("look", LOOKS)
def test_a_recipient_without_a_login_gets_the_file(delivered, chromium, look, tmp_path):
    before = len(delivered.server.mail.of(RECIPIENT))
    with opened(chromium, delivered.link(), **LOOKS[look]) as page:
        expect(page.get_by_role("heading", name="Your file is ready")).to_be_visible()
        expect(page.get_by_text(delivered.entry["name"])).to_be_visible()
        pages.shot(page, tmp_path, f"link-{look}")
        page.get_by_role("button", name="Mail me a code").click()
        expect(page.get_by_role("status")).to_contain_text("on its way")
        expect(page.get_by_label("Code from the mail")).to_be_focused()
        pages.shot(page, tmp_path, f"sent-{look}")
        code = mailed_code(delivered, before)
        page.get_by_label("Code from the mail").fill("0000 0000" if code != "0000 0000" else "1111 1111")
        page.get_by_role("button", name="Download").click()
        expect(page.get_by_role("alert")).to_contain_text("4 more attempts")
        pages.shot(page, tmp_path, f"wrong-{look}")
        page.get_by_label("Code from the mail").fill(code)
        assert downloaded(page, lambda: page.keyboard.press("Enter")) == delivered.content
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide == 0


def test_a_mail_that_airflow_sends_leads_each_recipient_to_the_file(airflow_server, mailed_run, chromium):
    client, mail = airflow_server.running.client, airflow_server.mail
    assert client.wait_for_run("mailed-balances", mailed_run, 600) == "success"
    home = {"LOYALTY_HOME": str(airflow_server.home)}
    context = Context.from_settings(Settings.from_environment(home))
    key = client.xcom("mailed-balances", mailed_run, "pin", "run_key")
    entry = context.state.runs.get(key).files[0]
    addresses = {}
    for recipient in ("ann@shop.example", "bob@shop.example"):
        [delivered] = mail.of(recipient)
        assert delivered.attached == {}
        addresses[recipient] = re.search(r"http://\S+/loyalty/d/[\w-]+", delivered.body("plain")).group()
    assert len(set(addresses.values())) == 2
    for recipient, address in addresses.items():
        with opened(chromium, address) as page:
            page.get_by_role("button", name="Mail me a code").click()
            expect(page.get_by_role("status")).to_be_visible()
            code = re.search(r"\d{4} \d{4}", mail.of(recipient)[-1].body("plain")).group()
            page.get_by_label("Code from the mail").fill(code)
            button = page.get_by_role("button", name="Download")
            assert downloaded(page, button.click) == context.store.read(entry["key"])
    told = [
        (each.actor, each.subject) for each in context.state.audit.newest(action=Action.DOWNLOADED, limit=2)
    ]
    assert told == [("bob@shop.example", key), ("ann@shop.example", key)]


def test_everything_can_be_reached_with_the_keyboard(delivered, chromium):
    with opened(chromium, delivered.link()) as page:
        reached = []
        for _ in range(3):
            page.keyboard.press("Tab")
            reached.append(page.evaluate("document.activeElement.id || document.activeElement.value"))
        assert reached == ["code", "code", "file"]  # the button, the field, the button


def test_a_link_that_is_over_says_what_to_do(delivered, chromium, tmp_path):
    address = delivered.link()
    found = delivered.context.state.links.list(limit=1)[0]
    delivered.context.state.links.revoke(found.id)
    with opened(chromium, address) as page:
        expect(page.get_by_role("heading", name="This link does not work")).to_be_visible()
        expect(page.get_by_text("Ask whoever sent it")).to_be_visible()
        pages.shot(page, tmp_path, "over")


@contextlib.contextmanager
def hostile_site(address: str) -> Iterator[str]:
    """Serve a page, of another site to the browser, whose form asks for a code at `address`."""
    form = (
        f'<form method="post" action="{address}"><input name="do" value="code"><button>Win!</button></form>'
    )

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(form.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_address[1]}/"
        server.shutdown()


def test_a_form_on_another_site_reaches_nothing(delivered, chromium):
    before = len(delivered.server.mail.of(RECIPIENT))
    address = delivered.link()
    with opened(chromium, address) as page, hostile_site(address) as hostile:
        page.goto(hostile)
        with page.expect_navigation() as answer:
            page.get_by_role("button", name="Win!").click()
        assert answer.value.status == 403
        expect(page.get_by_role("alert")).to_contain_text("Please try once more")
    assert len(delivered.server.mail.of(RECIPIENT)) == before


def test_who_has_a_login_is_asked_for_it_and_gets_the_file(delivered, chromium):
    address = with_login(delivered.context.settings, delivered.run_key, delivered.entry["name"])
    with opened(chromium, address, ours=False) as page:
        page.locator("input[name=username]").fill(USER)
        page.locator("input[name=password]").fill(password(delivered.server.running.home))
        got = downloaded(page, lambda: page.locator("button[type=submit]").click())
        assert got == delivered.content


def test_a_damaged_file_never_arrives_whole(delivered):
    url = delivered.server.running.url
    login = json.dumps({"username": USER, "password": password(delivered.server.running.home)}).encode()
    asked = urllib.request.Request(f"{url}/auth/token", login, {"Content-Type": "application/json"})
    with urllib.request.urlopen(asked) as answer:
        token = json.load(answer)["access_token"]
    address = with_login(delivered.context.settings, delivered.run_key, delivered.entry["name"])
    file = urllib.request.Request(address, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(file) as answer:
        assert answer.read() == delivered.content
    place = delivered.context.store.path(delivered.entry["key"])
    whole = place.read_bytes()
    place.chmod(0o600)
    place.write_bytes(whole[:-8] + bytes(8))
    try:
        with urllib.request.urlopen(file) as answer, pytest.raises(http.client.IncompleteRead):
            answer.read()
    finally:
        place.write_bytes(whole)


def test_airflows_logs_hold_no_token(delivered):
    address = delivered.link()
    with urllib.request.urlopen(address) as answer:
        assert answer.status == 200
    folder = delivered.server.home / "airflow" / "logs"
    logs = [path.read_text("utf-8", "replace") for path in folder.rglob("*.log")]
    assert any("/loyalty/d/***" in text for text in logs)
    assert not any(address.rpartition("/")[2] in text for text in logs)
