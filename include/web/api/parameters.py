"""What a query may say: a misspelt parameter is refused, since what it should have narrowed would be answered whole."""

from __future__ import annotations

from fastapi import Request
from fastapi.dependencies.utils import get_flat_dependant

from include.errors import BadInput, Problem
from include.web.api.caller import Calling


def known_parameters(request: Request, caller: Calling) -> None:  # noqa: ARG001 - who asks comes first
    """Raise BadInput that names each query parameter that the route does not have."""
    known = sorted(each.alias for each in get_flat_dependant(request.scope["route"].dependant).query_params)
    right = f"is no parameter here; known are {', '.join(known) or 'none'}"
    unknown = [name for name in dict.fromkeys(request.query_params) if name not in known]
    if unknown:
        raise BadInput([Problem("query", name, right, "unknown_parameter") for name in unknown])
