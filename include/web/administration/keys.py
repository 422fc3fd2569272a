"""API keys: making one, which shows it once, and revoking."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from include.errors import Problem
from include.pipeline import exports as catalogue
from include.state.keys import LIFETIME, LONGEST, MEANINGS, MOST_PER_MINUTE, PER_MINUTE, NewKey, key_problems
from include.web import pages
from include.web.administration.permitted import OWN_FORM, Administrator, text
from include.web.forms import Posted, see_other
from include.web.reader import Reader, context_of

HERE = "/administration/keys"
FRESH: dict[str, Any] = {
    "name": "",
    "scopes": [],
    "exports": "",
    "days": str(LIFETIME.days),
    "per_minute": str(PER_MINUTE),
}

router = APIRouter(prefix=HERE)


@router.get("")
def listing(request: Request, reader: Administrator) -> Response:
    """Show the keys, and the form for a new one."""
    return _shown(request, reader)


@router.post("")
def make(request: Request, reader: Administrator, form: Posted) -> Response:
    """Make a key and show it, this once."""
    typed: dict[str, Any] = {name: text(form, name) for name in ("name", "exports", "days", "per_minute")}
    typed["scopes"] = [str(each) for each in form.getlist("scopes")]
    context = context_of(request)
    exports = typed["exports"].replace(",", " ").split()
    problems = catalogue.unknown(context, exports, "exports")
    days = _number(typed["days"], "expires", f"days, from 1 to {LONGEST.days}", LONGEST.days, problems)
    right = f"requests a minute, from 1 to {MOST_PER_MINUTE}"
    limit = _number(typed["per_minute"], "per_minute", right, MOST_PER_MINUTE, problems)
    wish = {"exports": exports, "expires": timedelta(days=days), "per_minute": limit}
    problems += key_problems(typed["name"], typed["scopes"], **wish)
    if problems:
        return _shown(request, reader, typed, problems, status=422)
    made = context.state.keys.make(typed["name"], typed["scopes"], by=reader.name, **wish)
    return _shown(request, reader, made=made)


@router.post("/{key_id}/revoke", dependencies=[OWN_FORM])
def revoke(request: Request, reader: Administrator, key_id: str) -> Response:
    """End a key."""
    record = context_of(request).state.keys.revoke(key_id[:16], by=reader.name)
    return see_other(request, HERE, f"The key {record.name} is revoked. Nobody can use it any more.")


def _number(given: str, where: str, right: str, most: int, problems: list[Problem]) -> int:
    """Return a whole number from 1; 1 for what is none, with a problem."""
    number = int(given) if given.isascii() and given.isdigit() and len(given) < 9 else 0
    if not 1 <= number <= most:
        problems.append(Problem(where, given, right, "bad_number"))
        return 1
    return number


def _shown(
    request: Request,
    reader: Reader,
    typed: dict[str, Any] | None = None,
    problems: Sequence[Problem] = (),
    *,
    made: NewKey | None = None,
    status: int = 200,
) -> Response:
    return pages.show(
        request,
        reader,
        "administration/keys.html",
        status=status,
        tab="keys",
        keys=context_of(request).state.keys.list(),
        made=made,
        typed=typed or FRESH,
        wrong={problem.where: problem.right for problem in problems},
        scopes=MEANINGS,
    )
