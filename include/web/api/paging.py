"""Pages of lists: which one is asked for, and how to go on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

from fastapi import Query, Request

MOST_PER_PAGE = 500
LAST_PAGE = 1_000_000


class Page(NamedTuple):
    """Which page: `number` counts from 1."""

    number: int
    size: int

    @property
    def offset(self) -> int:
        """Return how many come before it."""
        return (self.number - 1) * self.size


def paged(
    page: Annotated[int, Query(ge=1, le=LAST_PAGE, description="Which page; 1 is the first.")] = 1,
    per_page: Annotated[int, Query(ge=1, le=MOST_PER_PAGE, description="So many on a page.")] = 50,
) -> Page:
    """Return the page that the query asks for."""
    return Page(page, per_page)


def listed(request: Request, items: Sequence[Any], page: Page, total: int) -> dict[str, Any]:
    """Return a page of a list: `next` is the address of the one after it, null for the last."""
    return {"items": list(items), **place(request, len(items), page, total)}


def place(request: Request, shown: int, page: Page, total: int) -> dict[str, Any]:
    """Return what a list of `total` says beside its items. shown: how many of them are on this page."""
    more = shown and page.offset + shown < total
    following = request.url.include_query_params(page=page.number + 1, per_page=page.size)
    return {
        "page": page.number,
        "per_page": page.size,
        "total": total,
        "next": f"{following.path}?{following.query}" if more else None,
    }
