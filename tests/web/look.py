"""A picture of a page: `python -m tests.web.look http://127.0.0.1:8101/loyalty/exports out.png --dark --width 390`."""

from __future__ import annotations

import argparse
from urllib.parse import quote, urlsplit

from playwright.sync_api import sync_playwright

from tests.browser.pages import CHROMIUM, QUIET


def main() -> None:
    """Log in, open the page, write the whole of it, and say what the browser complained about."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("out")
    parser.add_argument("--user", default="admin")
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, default=900)
    told = parser.parse_args()
    parts = urlsplit(told.url)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        page = browser.new_page(
            viewport={"width": told.width, "height": told.height},
            color_scheme="dark" if told.dark else "light",
        )
        page.on("console", lambda message: print(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: print(f"error: {error}"))
        page.goto(
            f"{parts.scheme}://{parts.netloc}/loyalty-login?user={told.user}&next={quote(path, safe='')}"
        )
        page.wait_for_load_state("networkidle")
        page.screenshot(path=told.out, full_page=True)
        browser.close()


if __name__ == "__main__":
    main()
