"""Each route and parameter of the vendors' APIs bears the name by which the vendor's own published client asks for it.

What the routes answer to these clients is tested beside them; here nothing is asked, so none can be left out.
"""

from __future__ import annotations

import importlib
import inspect
import re
from typing import Any

import pytest

from include.web.api.application import Api
from include.web.api.talon_one import api as talon_one
from include.web.api.voucherify import api as voucherify
from tests.web.api.asking import Asking

# A resource, its method, and the parameters that stand between them and the next.
_TALON_ONE = re.compile(r"'(/v1/[^']*)', '([A-Z]+)'")
_VOUCHERIFY = re.compile(r"method='([A-Z]+)',\s+resource_path='(/v1/[^']*)'")
_PART = re.compile(r"\{[^}]*\}")
# What is ours beside the vendor's, as docs/api says; and what is in its documents, which are newer than its client.
OURS = {"again", "data", "timeFrame"}
NEWER = {"awaitsActivation", "customerSessionIDs", "loyaltyProjectionEndDate", "transactionUUIDs"}
NOT_IN_CLIENT = {("GET", "/v1/loyalty_programs/{}/export_join_dates")}


def source(*modules: str) -> str:
    return "".join(inspect.getsource(importlib.import_module(module)) for module in modules)


def theirs_of_talon_one() -> tuple[set[tuple[str, str]], str]:
    text = source("talon_one.api.management_api", "talon_one.api.integration_api")
    return {(method, _PART.sub("{}", path)) for path, method in _TALON_ONE.findall(text)}, text


def theirs_of_voucherify() -> tuple[set[tuple[str, str]], str]:
    text = source("voucherify.api.exports_api", "voucherify.api.loyalties_api")
    return {(method, _PART.sub("{}", path)) for method, path in _VOUCHERIFY.findall(text)}, text


@pytest.mark.parametrize(
    ("api", "theirs"), [(talon_one, theirs_of_talon_one), (voucherify, theirs_of_voucherify)]
)
def test_the_vendors_client_knows_every_route_and_parameter(api: Api, theirs: Any, asking: Asking) -> None:
    paths = asking.client().get(f"{api.prefix}/openapi.json").json()["paths"]
    routes, text = theirs()
    ours = {(method.upper(), _PART.sub("{}", path)) for path, ways in paths.items() for method in ways}
    assert ours - routes == (NOT_IN_CLIENT if api is talon_one else set())
    assert len(ours) > 5
    asked = {
        parameter["name"]
        for ways in paths.values()
        for way in ways.values()
        for parameter in way.get("parameters", ())
        if parameter["in"] == "query"
    }
    unknown = {name for name in asked - OURS if f"'{name}'" not in text}
    assert unknown == (NEWER if api is talon_one else set())
    assert len(asked) > 1
