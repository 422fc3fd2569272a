"""Forms of our own pages: who sends one must have read a page of ours, and is told how it went on the next page."""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from starlette.datastructures import FormData, UploadFile
from starlette.responses import RedirectResponse, Response

from include.web import pages
from include.web.guard import form_token, is_form_token, is_own_form, visit
from include.web.reader import Asking, Reader, context_of

TOKEN = "form_token"  # noqa: S105 - the field's name
TOLD = "loyalty_told"
LONGEST_TOLD = 1000  # characters, so that the cookie is kept by every browser
FOREIGN = (
    "This form was open for too long, or your browser keeps no cookies. Nothing was changed; go back, reload "
    "the page, and try once more."
)


def token_of(request: Request, reader: Reader) -> str:
    """Return what a form of this reader's page must bring."""
    return form_token(visit(request), reader.name)


async def posted(request: Request, reader: Asking) -> FormData:
    """Return the fields of a form of ours; HTTPException 403 for one that another site sent."""
    return checked(request, reader, await request.form(max_fields=20_000))


def checked(request: Request, reader: Asking, form: FormData) -> FormData:
    """Return the fields of a form that was read; HTTPException 403 for one that another site sent."""
    brought = form.get(TOKEN) or request.headers.get("x-form-token") or ""
    own = is_own_form(request, context_of(request).settings.public_url)
    if not own or not is_form_token(request, reader.name, str(brought)):
        raise HTTPException(403, FOREIGN)
    # PostgreSQL takes no text with NUL, which no browser lets anybody type.
    return FormData([(name, _shown(value)) for name, value in form.multi_items()])


def _shown(value: UploadFile | str) -> UploadFile | str:
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value


Posted = Annotated[FormData, Depends(posted)]


def see_other(request: Request, path: str, told: str = "") -> Response:
    """Lead the browser to a page of ours, such as `/exports/x`; `told` is shown there once."""
    target = f"{pages.root(request)}{path}"
    if request.headers.get("hx-request"):
        answer = Response(status_code=204, headers={"HX-Redirect": target})
    else:
        answer = RedirectResponse(target, 303)
    if told:
        secure = request.url.scheme == "https"
        text = base64.urlsafe_b64encode(told[:LONGEST_TOLD].encode()).decode()
        value = f"{text}.{_signature(request, text)}"
        answer.set_cookie(TOLD, value, path="/", max_age=60, secure=secure, httponly=True, samesite="lax")
    return answer


def told(request: Request) -> str:
    """Return what the page before had to say to this reader; empty where it said nothing."""
    text, _, signature = request.cookies.get(TOLD, "").partition(".")
    if not text or not hmac.compare_digest(signature.encode(), _signature(request, text).encode()):
        return ""
    try:
        return base64.urlsafe_b64decode(text).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _signature(request: Request, text: str) -> str:
    return form_token(visit(request), f"told {text}")
