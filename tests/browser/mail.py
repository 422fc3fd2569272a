"""The mail of a delivery as a browser shows it, which is about what a mail program does."""

from __future__ import annotations

import base64
import contextlib
import email
import email.policy
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Literal

from playwright.sync_api import Page, sync_playwright

from include.targets.mail.letters import Writer
from tests.browser.pages import CHROMIUM, QUIET
from tests.targets.mail_server import CONTENT, DATA, MANIFEST, Links, options_of, parcel_of, personal

TEXT = "Dear colleagues,\n\nhere is the liability at the end of {period}. Please book it by the third working day."
AT = datetime(2026, 2, 1, 6, 30, tzinfo=UTC)


def mail(folder: Path) -> EmailMessage:
    """The mail of a delivery with a note, a link, an attached manifest, totals and a chart."""
    parcel = personal(parcel_of(folder, {DATA: CONTENT * 3000, MANIFEST: b"{}" * 500}))
    writer = Writer(options_of(text=TEXT), replace(parcel, links=Links()), "exports@shop.example", now=AT)
    found = email.message_from_bytes(writer.write("ann@shop.example"), policy=email.policy.SMTP)
    assert isinstance(found, EmailMessage)
    return found


def shown(message: EmailMessage) -> str:
    """The HTML with its images inside."""
    body = message.get_body(("html",))
    assert body is not None
    html = body.get_content()
    for part in message.walk():
        if part.get_content_type() == "image/png":
            image = base64.b64encode(part.get_payload(decode=True)).decode()
            html = html.replace(f"cid:{part['content-id'].strip('<>')}", f"data:image/png;base64,{image}")
    return html


@contextlib.contextmanager
def opened(folder: Path, *, width: int = 760, scheme: Literal["light", "dark"] = "light") -> Iterator[Page]:
    """Show the mail in a window of this width."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        try:
            page = browser.new_page(viewport={"width": width, "height": 300}, color_scheme=scheme)
            asked = []
            page.on("request", lambda request: asked.append(request.url))
            page.set_content(shown(mail(folder)))
            assert not [url for url in asked if not url.startswith("data:")]  # nothing from the network
            yield page
        finally:
            browser.close()
