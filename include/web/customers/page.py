"""Finding a customer, and the customer's page. Every look is told in the audit chain, whatever it shows."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import RedirectResponse, Response

from include.ledger.people import Name
from include.pipeline.customers.figures import PERSON, TYPES
from include.pipeline.customers.log import LAYOUTS
from include.pipeline.customers.look import Customer, look, owner_of
from include.pipeline.customers.picked import ENTRIES_PER_PAGE, Rows
from include.pipeline.customers.search import SLOW_SECONDS, search
from include.snapshots.excerpt import Holder
from include.state.tables import instant
from include.web import pages
from include.web.customers.asked import Asked, asked
from include.web.customers.chart import HEIGHT, WIDTH, chart
from include.web.customers.ways import card_way, way, way_of
from include.web.reader import Asking, Reader, Right, context_of

router = APIRouter()
NOBODY = "Nobody is known by this here."
_EXACT = frozenset({"id", "card", "e-mail"})


@router.get("/customers")
def found(request: Request, reader: Asking, q: str = "") -> Response:
    """Show who a text finds; with `id` or `card` instead, the page of whom these name."""
    query = request.query_params
    if "id" in query:
        return shown(request, reader, Holder(Name.CUSTOMER, query["id"]))
    if "card" in query:
        return _card(request, reader, query["card"])
    personal = reader.may(Right.PERSONAL)
    text = q.strip()
    result = search(context_of(request), text, personal=personal, by=reader.name) if text else None
    if result and personal and len(result.hits) == 1 and result.hits[0].by in _EXACT:
        target = way_of(Holder(*result.hits[0].person))
        return RedirectResponse(f"{pages.root(request)}{target}", 303)
    return pages.show(
        request,
        reader,
        "customers/search.html",
        section="customers",
        q=q,
        text=text,
        result=result,
        personal=personal,
        masked=masked,
        way_of=lambda person: way_of(Holder(*person)),
        seconds=SLOW_SECONDS,
    )


@router.get("/customers/{customer_id}")
def customer(request: Request, reader: Asking, customer_id: str) -> Response:
    """Show a customer; 403 without the right to personal data, 404 for nobody."""
    return shown(request, reader, Holder(Name.CUSTOMER, customer_id))


def _card(request: Request, reader: Reader, card: str) -> Response:
    """Show a card that nobody owns; whose owner there is, is shown with all that the owner has."""
    reader.require(Right.PERSONAL)
    owner = owner_of(context_of(request), card)
    if owner is not None:
        return RedirectResponse(f"{pages.root(request)}{way(owner)}", 303)
    return shown(request, reader, Holder(Name.CARD, card))


def shown(
    request: Request, reader: Reader, holder: Holder, *, problems: dict[str, str] | None = None
) -> Response:
    """Show a holder's page, as its address asks. problems: of the form that exports the log."""
    reader.require(Right.PERSONAL)
    wanted = asked(request.query_params)
    seen = look(context_of(request), holder, wanted.view, by=reader.name)
    if seen is None:
        raise HTTPException(404, NOBODY)
    return pages.show(
        request,
        reader,
        "customers/page.html",
        status=422 if problems else 200,
        section="customers",
        seen=seen,
        figures=seen.figures,
        who=dict.fromkeys(PERSON) | (seen.figures.person or {}),
        at=instant(seen.figures.at),
        asked=wanted,
        points=points,
        way=way,
        card_way=card_way,
        here=way_of(holder),
        types=TYPES,
        per_page=ENTRIES_PER_PAGE,
        pages_count=-(-seen.figures.entries_total // ENTRIES_PER_PAGE),
        pager=_address(holder, wanted, "page"),
        all_lots=_address(holder, wanted, "lots") + "lots=all#lots",
        traces=traces(seen.figures.traced),
        on_page={row["transaction_id"] for row in seen.figures.entries},
        lots_on_page={row["lot_id"] for row in seen.figures.lots},
        entry=_address(holder, wanted, "program", "subledger", "type", "from", "until", "text") + "text=",
        totals=totals(seen),
        charts=_charts(seen),
        chart_size=(WIDTH, HEIGHT),
        layouts=tuple(LAYOUTS),
        log_problems=problems or {},
        local_at=_local(seen),
    )


def points(hundredths: int | None) -> str:
    """Return points as the exports write them, with separators: `1,251.78`."""
    return pages.shown_number(None) if hundredths is None else f"{Decimal(hundredths).scaleb(-2):,.2f}"


def masked(name: str) -> str:
    """Return an id so that who knows it recognises it, and others do not learn it."""
    shown_characters = 2 if len(name) > 6 else 1 if len(name) > 2 else 0
    return f"{name[:shown_characters]}•••{name[len(name) - shown_characters :]}"


def traces(traced: Rows) -> dict[str, Rows]:
    """Return allocations by the debit that used points, and by the lot whose points were used."""
    found: dict[str, Rows] = defaultdict(list)
    for row in traced:
        found[row["debit_id"]].append(row)
        found[row["lot_id"]].append(row)
    return found


def totals(seen: Customer) -> Rows:
    """Return the sums of each program that has several accounts."""
    summed: dict[str, dict[str, Any]] = {}
    for row in seen.figures.accounts:
        total = summed.setdefault(row["program_id"], {"program_name": row["program_name"], "accounts": 0})
        total["accounts"] += 1
        for name in (
            "active",
            "pending",
            "spent",
            "expired",
            "negative_balance",
            "points_balance",
            "lifetime_earned",
        ):
            total[name] = total.get(name, 0) + row[name]
    return [total for total in summed.values() if total["accounts"] > 1]


def _charts(seen: Customer) -> list[tuple[str, Any, Rows]]:
    names = {row["program_id"]: row["program_name"] for row in seen.figures.accounts}
    by_program: dict[str, Rows] = defaultdict(list)
    for row in seen.figures.projected:
        by_program[row["program_id"]].append(row)
    return [(names.get(key) or key, chart(rows, points), rows) for key, rows in sorted(by_program.items())]


def _address(holder: Holder, wanted: Asked, *but: str) -> str:
    """Return the page's address with all that was asked but some of it, so that more can be added."""
    base = way_of(holder)
    query = urlencode(wanted.kept(*but))
    return base + ("&" if "?" in base else "?") + (f"{query}&" if query else "")


def _local(seen: Customer) -> str:
    """Return the instant that is shown as its field has it."""
    from zoneinfo import ZoneInfo

    return instant(seen.figures.at).astimezone(ZoneInfo(seen.figures.zone)).strftime("%Y-%m-%dT%H:%M")
