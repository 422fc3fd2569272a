"""Files for who has no login: a page that mails a one-time code to the link's recipient, and takes it for one download.

GET changes nothing, whoever opens the link: scanners of mail do. What is unknown, expired and revoked looks the same.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import timedelta
from logging import getLogger
from typing import Any
from urllib.parse import parse_qsl

import anyio.to_thread
from fastapi import APIRouter, HTTPException, Request
from starlette.responses import Response

from include.errors import BadInput, LoyaltyError, NotYet
from include.pipeline import Context
from include.pipeline.codes import mail_code
from include.pipeline.links import file_of
from include.state.links import CODE_DIGITS, CODE_LIFETIME, CODE_PAUSE, DownloadLink, NoMoreCodes
from include.web import pages
from include.web.downloads import sending
from include.web.guard import COOKIE, form_token, is_form_token, is_own_form, visit

LOG = getLogger(__name__)
OVER = (
    "It may have expired or been withdrawn, or a part of the address may be missing.",
    "Ask whoever sent it to you for a new one.",
)
FOREIGN = "This form was open for too long, or your browser keeps no cookies. Please try once more."
SENT = "The code is on its way. Mail can take a minute; look among unwanted mail too."
UNSENT = "The code could not be mailed. Please try later, or tell whoever sent you the link."
TOO_SOON = "A code was sent less than a minute ago. Look for it in your mail before you ask for another one."
NO_MORE = "This link has had all its codes. Ask whoever sent it to you for a new one."
MALFORMED = f"A code has {CODE_DIGITS} digits."
SPENT = "That code is not valid any more. Ask for another one."

LARGEST_FORM_BYTES = 4096

router = APIRouter()


@dataclass(frozen=True)
class Desk:
    """One request about one link that is active, and the file that it leads to."""

    request: Request
    context: Context
    token: str
    link: DownloadLink
    entry: dict[str, Any]
    timezone: str

    def page(self, status: int = 200, **told: Any) -> Response:
        """Return the page of the link.

        told: problem, told (good news), sent (a code is to be typed), wrong (what was typed is).
        """
        kept = visit(self.request)
        shown = {"problem": "", "told": "", "sent": False, "wrong": False} | told
        answer = pages.page(
            "downloads/link.html",
            pages.root(self.request),
            status,
            file=self.link.file,
            size=pages.shown_bytes(self.entry["bytes"]),
            until=pages.shown_instant(self.link.expires_at, self.timezone),
            address=pages.masked(self.link.recipient),
            minutes=CODE_LIFETIME // timedelta(minutes=1),
            digits=CODE_DIGITS,
            token=form_token(kept, self.token),
            **shown,
        )
        secure = (self.context.settings.public_url or str(self.request.url)).startswith("https:")
        answer.set_cookie(COOKIE, kept, path="/", secure=secure, httponly=True, samesite="lax")
        return answer


@router.api_route("/d/{token}", methods=["GET", "HEAD"])
async def show(token: str, request: Request) -> Response:
    """Show what the link is for; 404 or 410 when it is not active."""
    return await anyio.to_thread.run_sync(_shown, request, token)


@router.post("/d/{token}")
async def act(token: str, request: Request) -> Response:
    """Mail a code, or take one and send the file, as the pressed button says."""
    body = await request.body()
    if len(body) > LARGEST_FORM_BYTES:
        raise HTTPException(413, "This form is too large.")
    form = dict(parse_qsl(body.decode("utf-8", "replace")))
    return await anyio.to_thread.run_sync(_acted, request, token, form)


def _shown(request: Request, token: str) -> Response:
    desk = _open(request, token)
    return desk.page() if isinstance(desk, Desk) else desk


def _acted(request: Request, token: str, form: dict[str, str]) -> Response:
    desk = _open(request, token)
    if not isinstance(desk, Desk):
        return desk
    own = is_own_form(request, desk.context.settings.public_url)
    if not own or not is_form_token(request, token, form.get("page", "")):
        return desk.page(403, problem=FOREIGN)
    return _downloaded(desk, form.get("code", "")) if form.get("do") == "file" else _mailed(desk)


def _open(request: Request, token: str) -> Desk | Response:
    """Return the link with its file, or the page for all links that lead nowhere."""
    context: Context = request.app.state.context
    link = context.state.links.find(token)
    if link is None:
        return _over(request, 404)
    try:
        run = context.state.runs.get(link.run_key)
    except BadInput:
        return _over(request, 410)
    entry = file_of(run, link.file)
    if not link.active or entry is None or not sending.is_there(context.store, entry):
        return _over(request, 410)
    return Desk(request, context, token, link, entry, str(run.definition.get("timezone", "UTC")))


def _over(request: Request, status: int) -> Response:
    return pages.notice(request, status, "This link does not work", OVER)


def _mailed(desk: Desk) -> Response:
    try:
        mail_code(desk.context, desk.token)
    except NotYet:
        answer = desk.page(429, problem=TOO_SOON, sent=True)
        answer.headers["Retry-After"] = str(CODE_PAUSE // timedelta(seconds=1))
        return answer
    except NoMoreCodes:
        return desk.page(429, problem=NO_MORE)
    except LoyaltyError as error:
        LOG.warning("no code for link %s could be mailed: %s", desk.link.id, error)
        return desk.page(503, problem=UNSENT)
    return desk.page(told=SENT, sent=True)


def _downloaded(desk: Desk, typed: str) -> Response:
    code = re.sub(r"[\s-]", "", unicodedata.normalize("NFKC", typed))
    if not re.fullmatch(rf"\d{{{CODE_DIGITS}}}", code, re.ASCII):
        return desk.page(422, problem=MALFORMED, wrong=True, sent=True)
    found = desk.context.state.links.redeem(desk.token, code)
    if not found.right and found.attempts_left:
        more = "one more attempt" if found.attempts_left == 1 else f"{found.attempts_left} more attempts"
        return desk.page(403, problem=f"That is not the code. You have {more}.", wrong=True, sent=True)
    if not found.right:
        return desk.page(403, problem=SPENT, wrong=True)
    return sending.answer(desk.request, desk.context.store, desk.entry)
