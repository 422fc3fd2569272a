"""Who may do what: what Airflow gives each role, what was granted here, granting and revoking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from include.errors import Problem
from include.pipeline import exports as catalogue
from include.state.grants import ADMIN, EVERY, Grant, Grantable, grant_problems
from include.web import pages
from include.web.administration.permitted import Administrator, text
from include.web.forms import Posted, see_other
from include.web.reader import Reader, Right, context_of

HERE = "/administration/access"
MEANINGS = {
    Right.SEE: "exports, runs, deliveries, files without personal data",
    Right.RUN: "run, send again, resolve deliveries",
    Right.EDIT: "create, change, delete; needs Airflow's right to change the DAG too",
    Right.PERSONAL: "files and previews with personal data, customers' pages",
    Right.IMPORT: "book points: upload, post, approve and undo imports; needs Airflow's right to run their DAG too",
    Right.ADMINISTER: "these pages: access, audit log, connections, keys",
}

router = APIRouter(prefix=HERE)


@router.get("")
def matrix(request: Request, reader: Administrator) -> Response:
    """Show the roles and their rights."""
    return _shown(request, reader)


@router.post("")
def grant(request: Request, reader: Administrator, form: Posted) -> Response:
    """Grant a right to a role, for one export or for all."""
    role, right, export = (text(form, name) for name in ("role", "right", "export"))
    context = context_of(request)
    problems = catalogue.unknown(context, {export} - {"", EVERY}, "export")
    problems += grant_problems(role, right, export or EVERY)
    if problems:
        typed = {"role": role, "right": right, "export": export}
        return _shown(request, reader, typed, problems, status=422)
    given = context.state.grants.grant(role, right, export or EVERY, by=reader.name)
    where = "all exports" if export in {"", EVERY} else export
    may = "import points" if right == Right.IMPORT else f"{right} {where}"
    words = f"{role} may now {may}." if given else f"{role} had that right already."
    return see_other(request, HERE, words)


@router.post("/revoke")
def revoke(request: Request, reader: Administrator, form: Posted) -> Response:
    """Take a right away again."""
    role, right, export = (text(form, name) for name in ("role", "right", "export"))
    gone = context_of(request).state.grants.revoke(role, right, export, by=reader.name)
    return see_other(request, HERE, "The right is revoked." if gone else "It was revoked already.")


def _shown(
    request: Request,
    reader: Reader,
    typed: dict[str, str] | None = None,
    problems: Sequence[Problem] = (),
    *,
    status: int = 200,
) -> Response:
    context = context_of(request)
    grants = context.state.grants.list()
    airflow: dict[str, frozenset[str]] = request.app.state.roles()
    roles = list(
        dict.fromkeys(
            [*airflow, *sorted(role.casefold() for role in reader.roles), *(each.role for each in grants)]
        )
    )
    return pages.show(
        request,
        reader,
        "administration/access.html",
        status=status,
        tab="access",
        meanings=MEANINGS,
        grantable=list(Grantable),
        rows=[{"role": role, "cells": _cells(role, airflow.get(role), grants)} for role in roles],
        exports=sorted(context.state.exports.ids()),
        roles=roles,
        mine=[right for right in Right if reader.may(right)],
        typed=typed or {"role": "", "right": Grantable.PERSONAL.value, "export": ""},
        wrong={problem.where: problem.right for problem in problems},
    )


def _cells(role: str, airflow: frozenset[str] | None, grants: list[Grant]) -> dict[Right, Any]:
    """Return for each right where a role has it from: `airflow` (None where nobody can tell), and grants."""
    cells: dict[Right, Any] = {}
    for right in Right:
        granted = [each for each in grants if (each.role, each.right) == (role, right.value)]
        given = None if airflow is None else right.value in airflow
        if right.value in set(Grantable):
            given = role == ADMIN
        cells[right] = {"given": given, "granted": granted}
    return cells
