"""The vendor's own client, unmodified but for address and keys, and a reader of the vendor's files."""

from __future__ import annotations

import csv
import io
import json
import re
import time
from collections.abc import Callable
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request, urlopen

import pytest
import sqlalchemy as sa

from include.web.api.voucherify import tokens
from include.web.api.voucherify.objects import exported
from tests.lazily import voucherify
from tests.web.api.voucherify.conftest import Served, finished
from tests.web.api.voucherify.test_asked import DEFAULTS

pytestmark = pytest.mark.slow
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
RELATIONS = {
    "order": "orders",
    "voucher": "vouchers",
    "publication": "publications",
    "customer": "customers",
    "product": "products",
    "sku": "products",
}


@pytest.fixture(scope="module")
def api(served: Served) -> voucherify.ExportsApi:
    return voucherify.ExportsApi(served.client(served.key()))


@pytest.fixture(scope="module")
def rows(api: voucherify.ExportsApi) -> Callable[..., list[dict[str, str]]]:
    """The rows of a new export, fetched as a program does it."""

    def fetch(kind: str, **parameters: Any) -> list[dict[str, str]]:
        made = api.create_export(body(kind, **parameters))
        assert (made.status, made.result, made.exported_object) == ("SCHEDULED", None, kind)
        return downloaded(api, made.id)

    return fetch


def body(kind: str, **parameters: Any) -> voucherify.ExportsCreateRequestBody:
    named = voucherify.ExportsCreateRequestBodyParameters(**parameters) if parameters else None
    return voucherify.ExportsCreateRequestBody(exported_object=kind, parameters=named)


def downloaded(api: voucherify.ExportsApi, export_id: str) -> list[dict[str, str]]:
    done = finished(api, export_id)
    assert done.status == "DONE"
    [token] = parse_qs(urlsplit(done.result.url).query)["token"]
    return list(csv.DictReader(io.StringIO(api.download_export(export_id, token))))


def refusal(error: pytest.ExceptionInfo[Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(error.value.body)
    assert found["code"] == error.value.status
    assert found["request_id"].startswith("v-")
    return found


@pytest.mark.parametrize("kind", DEFAULTS)
def test_every_kind_of_object_with_all_fields(served, rows, kind):
    fields = list(exported(kind).fields)
    found = rows(kind, fields=fields)
    assert list(found[0]) == fields
    for name in {"created_at", "updated_at", "date", "expires_at", "start_date", "orders_last_order_date"} & {
        *fields
    }:
        assert {bool(INSTANT.fullmatch(each[name])) for each in found if each[name]} <= {True}
    if kind in RELATIONS:
        with sa.create_engine(served.context.settings.ledger_url).connect() as ledger:
            assert len(found) == ledger.scalar(sa.text(f"SELECT count(*) FROM {RELATIONS[kind]}"))


def test_the_usual_fields_where_none_are_named(rows):
    assert list(rows("voucher")[0]) == DEFAULTS["voucher"]


def test_filters_and_order_by_the_vendors_words(rows):
    filters = {
        "junction": "and",
        "total_amount": {"conditions": {"$more_than": ["10000"], "$less_than_equal": ["20000"]}},
        "created_at": {"conditions": {"$after": ["2025-01-01T00:00:00.000Z"]}},
        "status": {"conditions": {"$not_in": ["CANCELED"]}},
    }
    fields = ["id", "created_at", "status", "total_amount"]
    everything = rows("order", fields=fields)
    kept = [
        each
        for each in everything
        if 10_000 < int(each["total_amount"]) <= 20_000
        and each["created_at"] > "2025-01-01T00:00:00.000Z"
        and each["status"] != "CANCELED"
    ]
    found = rows("order", fields=fields, filters=filters, order="-created_at")
    assert kept
    assert found == sorted(kept, key=lambda each: each["created_at"], reverse=True)


def test_what_was_asked_for_is_echoed(api):
    asked = {
        "fields": ["code"],
        "order": "code",
        "filters": {"junction": "and", "code": {"conditions": {"$is": ["X"]}}},
    }
    made = api.create_export(body("voucher", **asked))
    told = api.get_export(made.id).parameters.to_dict()
    assert {name: value for name, value in told.items() if value is not None} == asked
    assert downloaded(api, made.id) == []


def test_the_exports_of_a_campaign(served, api):
    loyalties = voucherify.LoyaltiesApi(api.api_client)
    made = loyalties.create_points_expiration_export(
        "m001",
        voucherify.LoyaltiesPointsExpirationExportCreateRequestBody.from_dict(
            {"parameters": {"order": "-expires_at", "filters": {"junction": "and"}}}
        ),
    )
    assert made.exported_object == "points_expiration"
    lots = downloaded(api, made.id)
    assert {each["campaign_id"] for each in lots} == {"m001"}
    assert all(each["voucher_id"] for each in lots)
    dated = [each["expires_at"] for each in lots if each["expires_at"]]
    assert dated == sorted(dated, reverse=True)

    made = loyalties.export_loyalty_campaign_transactions(
        "m001",
        voucherify.LoyaltiesTransactionsExportCreateRequestBody.from_dict(
            {
                "parameters": {
                    "fields": ["id", "type", "amount", "created_at", "voucher_id"],
                    "order": "created_at",
                }
            }
        ),
    )
    assert made.exported_object == "voucher_transactions"
    told = api.get_export(made.id).parameters
    assert told.filters == {"campaign_id": {"conditions": {"$in": ["m001"]}}}
    moved = downloaded(api, made.id)
    assert moved
    assert {each["type"].split("_")[0] for each in moved} == {"POINTS"}
    assert all(each["voucher_id"] for each in moved)
    with sa.create_engine(served.context.settings.ledger_url).connect() as ledger:
        given = dict(ledger.execute(sa.text("""
            SELECT t.transaction_id, t.campaign_id FROM transactions AS t JOIN vouchers AS v ON v.card_id = t.card_id
            WHERE v.voucher_type = 'LOYALTY_CARD' AND v.campaign_id = 'm001' AND t.type = 'earned'
        """)).all())  # fmt: skip
    earned = {each["id"] for each in moved if each["type"] == "POINTS_ACCRUAL"}
    assert earned == given.keys()
    assert {"m000", "m002"} < set(given.values())  # other campaigns gave points to these cards too


def test_a_list_has_pages_and_only_what_is_yours(served):
    mine = voucherify.ExportsApi(served.client(served.key("shop")))
    made = [mine.create_export(body("order", fields=["id"])).id for _ in range(3)]
    first = mine.list_exports(limit=2, page=1, order=voucherify.ParameterOrderListExports.CREATED_AT)
    second = mine.list_exports(limit=2, page=2, order=voucherify.ParameterOrderListExports.CREATED_AT)
    assert [each.id for each in [*first.exports, *second.exports]] == made
    assert first.total == second.total == 3
    newest = mine.list_exports()
    assert [each.id for each in newest.exports] == made[::-1]

    successor = voucherify.ExportsApi(served.client(served.key("shop")))
    assert successor.list_exports().total == 3
    stranger = voucherify.ExportsApi(served.client(served.key("somebody else")))
    assert stranger.list_exports().total == 0
    for ask in (stranger.get_export, stranger.delete_export):
        with pytest.raises(voucherify.exceptions.NotFoundException) as caught:
            ask(made[0])
        assert refusal(caught)["resource_id"] == made[0]
    for each in made:
        mine.delete_export(each)
    assert mine.list_exports().total == 0


def test_a_deleted_export_is_gone_with_its_file(served, api):
    made = api.create_export(body("voucher"))
    assert downloaded(api, made.id)
    run_key = served.context.state.asked_exports.get(made.id).run_key
    [entry, _] = served.context.state.runs.get(run_key).files
    assert served.context.store.exists(entry["key"])
    api.delete_export(made.id)
    assert not served.context.store.exists(entry["key"])
    assert served.context.state.runs.get(run_key).files_gone_why == "deleted"
    for ask in (api.get_export, api.delete_export):
        with pytest.raises(voucherify.exceptions.NotFoundException) as caught:
            ask(made.id)
        assert refusal(caught)["details"] == f"Cannot find export with id {made.id}"


def test_a_download_takes_the_key_and_its_own_token(served, api, monkeypatch):
    made = api.create_export(body("voucher"))
    url = finished(api, made.id).result.url
    [token] = parse_qs(urlsplit(url).query)["token"]
    assert (
        urlsplit(url)._replace(query="").geturl()
        == f"{api.api_client.configuration.host}/v1/exports/{made.id}"
    )
    other = voucherify.ExportsApi(served.client(served.key()))  # of the same program: sees it, by another key
    assert other.get_export(made.id).status == "DONE"
    another = api.create_export(body("voucher")).id
    for client, wanted, given in (
        (api, made.id, "x"),
        (api, made.id, "zz.zz"),
        (api, made.id, token[:-1]),
        (api, another, token),
        (other, made.id, token),
    ):
        with pytest.raises(voucherify.exceptions.UnauthorizedException) as caught:
            client.download_export(wanted, given)
        assert refusal(caught)["key"] == "unauthorized"
    bare = voucherify.ApiClient(voucherify.Configuration(host=api.api_client.configuration.host))
    with pytest.raises(voucherify.exceptions.UnauthorizedException):
        voucherify.ExportsApi(bare).download_export(made.id, token)
    at = time.time()
    monkeypatch.setattr(time, "time", lambda: at + tokens.SECONDS + 1)
    with pytest.raises(voucherify.exceptions.UnauthorizedException):
        api.download_export(made.id, token)


def test_a_key_and_an_id_that_do_not_fit_are_refused(served, api):
    first, second = served.key(), served.key()
    mixed = served.client(first)
    mixed.configuration.api_key["X-App-Id"] = second.record.shown
    for change in ({}, {"X-App-Token": "loy_0"}):
        mixed.configuration.api_key |= change
        with pytest.raises(voucherify.exceptions.UnauthorizedException) as caught:
            voucherify.ExportsApi(mixed).list_exports()
        assert refusal(caught)["message"] == "Unauthorized"
    for headers in ({"X-App-Token": first.key}, {"X-App-Id": first.record.shown}, {}):
        with pytest.raises(HTTPError) as refused:
            urlopen(Request(f"{mixed.configuration.host}/v1/exports", headers=headers))
        assert refused.value.status == 401
    right = served.client(first)
    right.configuration.api_key["X-App-Id"] = first.record.shown.rstrip("_")
    assert voucherify.ExportsApi(right).list_exports().total >= 0


def test_revoked_and_under_scoped_keys(served):
    revoked = served.key("revoked")
    served.context.state.keys.revoke(revoked.record.id, by="admin")
    with pytest.raises(voucherify.exceptions.UnauthorizedException):
        voucherify.ExportsApi(served.client(revoked)).list_exports()
    for how in ({"scopes": ("runs:read",)}, {"scopes": ("runs:read",), "exports": ("daily-balances",)}):
        with pytest.raises(voucherify.exceptions.ForbiddenException) as caught:
            voucherify.ExportsApi(served.client(served.key("narrow", **how))).create_export(body("order"))
        assert refusal(caught)["key"] == "forbidden"


def test_personal_data_takes_its_scope(served, api):
    plain = voucherify.ExportsApi(served.client(served.key(scopes=("reports:read",))))
    looking = {"email": {"conditions": {"$is": ["customer0000001@example.com"]}}}
    for asked in (
        body("customer"),
        body("customer", fields=["id"], filters=looking),
        body("customer", fields=["id"], order="name"),
        body("redemption", fields=["customer_name"]),
    ):
        with pytest.raises(voucherify.exceptions.ForbiddenException) as caught:
            plain.create_export(asked)
        assert "personal" in refusal(caught)["details"]
    personal = api.create_export(body("customer"))
    with pytest.raises(voucherify.exceptions.NotFoundException):
        plain.get_export(personal.id)
    assert personal.id not in {each.id for each in plain.list_exports(limit=100).exports}
    assert personal.id in {each.id for each in api.list_exports(limit=100).exports}
    assert plain.create_export(body("customer", fields=["id", "loyalty_points"])).status == "SCHEDULED"


def test_errors_have_the_vendors_shape(api):
    wrong = voucherify.ExportsCreateRequestBody.model_construct(exported_object="campaign")
    for asked, key, told in (
        (wrong, "invalid_payload", "should be equal to one of the allowed values [ voucher, redemption"),
        (
            body("redemption", fields=["code"]),
            "invalid_export_fields",
            "Unsupported field used. Allowed fields: id, ",
        ),
        (
            body("order", order="name"),
            "invalid_payload",
            "Property .parameters.order 'name' should be equal to",
        ),
        (
            body("order", filters={"id": {"conditions": {"$in": []}}}),
            "invalid_export_params",
            "keeps nothing",
        ),
    ):
        with pytest.raises(voucherify.exceptions.BadRequestException) as caught:
            api.create_export(asked)
        found = refusal(caught)
        assert found["key"] == key
        assert told in found["details"]
