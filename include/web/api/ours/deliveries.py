"""Deliveries: where files went, with their receipts, and a person's word on those that wait for one."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Depends, HTTPException, Path, Request
from pydantic import BaseModel, ConfigDict, Field

from include.acting import acting
from include.pipeline import resolving
from include.state.deliveries import Delivery, DeliveryState
from include.state.keys import Scope
from include.state.runs import RunRecord
from include.web.api.caller import Caller, Calling
from include.web.api.ours import shapes
from include.web.api.ours.permitted import RunKey, run_of
from include.web.api.paging import Page, listed, paged
from include.web.reader import context_of

router = APIRouter(tags=["deliveries"])
NO_DELIVERY = "There is no such delivery."
DeliveryKey = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="The key of a delivery.")]


class Word(BaseModel):
    """A person's word on a delivery that nobody else can tell of, as they saw it."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"word": "arrived", "note": "Jane has the file"}]}
    )

    word: Literal["arrived", "not_arrived"]
    note: str = Field("", max_length=500)


@router.get("/runs/{run_key}/deliveries", response_model=shapes.Listed[shapes.DeliveryShown])
def of_run(request: Request, caller: Calling, run_key: RunKey, page: Annotated[Page, Depends(paged)]) -> Any:
    """List the deliveries of a run, the last one first."""
    run = run_of(request, caller, Scope.DELIVERIES_READ, run_key)
    return _listed(request, caller, page, run_key=run.run_key)


@router.get("/deliveries", response_model=shapes.Listed[shapes.DeliveryShown])
def listing(
    request: Request,
    caller: Calling,
    page: Annotated[Page, Depends(paged)],
    state: DeliveryState | None = None,
) -> Any:
    """List deliveries, the last one first, of the exports that the caller may see."""
    if caller.key is not None and Scope.DELIVERIES_READ not in caller.key.scopes:
        caller.require(Scope.DELIVERIES_READ)
    state_ = context_of(request).state
    mine = None
    if not caller.may(Scope.DELIVERIES_READ):
        mine = caller.visible(Scope.DELIVERIES_READ, state_.exports.ids())
    return _listed(request, caller, page, definition_ids=mine, states=[state] if state else ())


@router.get("/deliveries/{key}", response_model=shapes.DeliveryShown)
def read(request: Request, caller: Calling, key: DeliveryKey) -> Any:
    """Read a delivery and its receipt."""
    found, run = _of(request, caller, Scope.DELIVERIES_READ, key)
    return _shown(caller, found, run)


@router.post("/deliveries/{key}/resolve", response_model=shapes.DeliveryShown)
def resolve(request: Request, caller: Calling, key: DeliveryKey, said: Annotated[Word, Body()]) -> Any:
    """Write down whether a delivery arrived that is uncertain, or in conflict. It is told to the audit chain."""
    found, run = _of(request, caller, Scope.DELIVERIES_SEND, key)
    with acting(caller.name):
        done = resolving.resolve(
            context_of(request), found, arrived=said.word == "arrived", note=said.note.strip()
        )
    return _shown(caller, done, run)


def _listed(request: Request, caller: Caller, page: Page, **which: Any) -> dict[str, Any]:
    state = context_of(request).state
    found = state.deliveries.list(**which, limit=page.size, offset=page.offset)[::-1]
    runs = {key: state.runs.get(key) for key in {each.run_key for each in found}}
    shown = [_shown(caller, each, runs[each.run_key]) for each in found]
    return listed(request, shown, page, state.deliveries.count(**which))


def _of(request: Request, caller: Caller, scope: Scope, key: str) -> tuple[Delivery, RunRecord]:
    if caller.key is not None and scope not in caller.key.scopes:
        caller.require(scope)
    found = context_of(request).state.deliveries.get(key)
    if found is None:
        raise HTTPException(404, NO_DELIVERY)
    run = context_of(request).state.runs.get(found.run_key)
    if not caller.may(scope, run.definition_id):
        raise HTTPException(404, NO_DELIVERY)
    return found, run


def _shown(caller: Caller, found: Delivery, run: RunRecord) -> dict[str, Any]:
    return shapes.delivery(found, run.definition_id, personal=caller.may(Scope.PERSONAL, run.definition_id))
