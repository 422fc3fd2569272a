"""The pages in Chromium, served by Airflow's own application on loopback; the state is that of the test."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="session")
def address(api_server: Any) -> Iterator[str]:
    """Where Airflow's application is served."""
    import uvicorn

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(api_server, host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 60
    while not server.started:
        assert time.monotonic() < until
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(30)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser of its own for each module: playwright and event loops of other tests keep apart."""
    from playwright.sync_api import sync_playwright

    from tests.browser.pages import CHROMIUM, QUIET

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield launched
        launched.close()


@pytest.fixture
def opened(
    address: str, chromium: Browser, standing: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Page]]:
    """Make a page of somebody's browser; an error of ours that the browser tells of fails the test.

    user and role: who has logged in. Other options are those of a browser context.
    """
    from playwright.sync_api import expect

    from tests.browser.axe import WIDE
    from tests.browser.pages import PATIENCE, listening
    from tests.web.conftest import login_token

    monkeypatch.setenv("LOYALTY_PUBLIC_URL", address)
    complaints: list[str] = []
    ended: list[str] = []
    to_login: list[str] = []
    contexts = []

    def told(message: Any) -> None:
        # Not what Airflow's own pages miss, and not that a form was refused, which the page says.
        if (
            message.type == "error"
            and "/loyalty/" in message.location["url"]
            and "status of 422" not in message.text
        ):
            (ended if "status of 401" in message.text else complaints).append(message.text)

    def went(frame: Any) -> None:
        if "/auth/login?next=" in frame.url:
            to_login.append(frame.url)

    def make(user: str = "admin", role: str = "ADMIN", **options: Any) -> Page:
        standing()
        context = chromium.new_context(**{"base_url": address, "viewport": WIDE, **options})
        contexts.append(context)
        context.add_cookies([{"name": "_token", "value": login_token(user, role), "url": address}])
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        page.on("console", told)
        page.on("framenavigated", went)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        return page

    with listening():
        yield make
    for context in contexts:
        context.close()
    # A page whose login has ended leads to the login: what its parts were refused meanwhile is no complaint.
    complaints += [] if to_login else ended
    assert not complaints, complaints
