"""Our own API: each group of routes with a real state, store and ledger."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import Any

import pytest

from include.state.audit import Action
from include.state.identity import delivery_key
from include.state.keys import Scope
from tests.web.api.asking import OURS, Asking
from tests.web.exports.made import export, finished, run
from tests.web.runs import CONTENT, stored

MINE = {
    "id": "mine",
    "name": "Mine",
    "model": "balance",
    "fields": ["customer_id", "active"],
    "targets": [{"kind": "folder", "options": {"folder": "mine"}}],
}
EVERYTHING = tuple(Scope)


def test_a_definition_is_made_read_changed_and_deleted(asking: Asking) -> None:
    client = asking.client(*EVERYTHING)
    made = client.post(f"{OURS}/definitions", json=MINE)
    assert (made.status_code, made.headers["location"]) == (201, f"{OURS}/definitions/mine")
    read = client.get(made.headers["location"])
    assert read.json()["document"]["fields"] == [{"field": "customer_id"}, {"field": "active"}]
    assert read.headers["etag"] == made.headers["etag"]
    assert (
        client.get(made.headers["location"], headers={"if-none-match": read.headers["etag"]}).status_code
        == 304
    )
    changed = client.put(
        made.headers["location"], json=MINE | {"name": "Other"}, headers={"if-match": read.headers["etag"]}
    )
    assert (changed.json()["name"], changed.json()["number"]) == ("Other", 2)
    assert changed.headers["etag"] != read.headers["etag"]
    assert (
        client.delete(made.headers["location"], headers={"if-match": changed.headers["etag"]}).status_code
        == 204
    )
    assert client.get(made.headers["location"]).status_code == 404
    assert asking.announced == ["mine"] * 3
    author = next(each for each in asking.context.state.exports.edits("mine") if each.deleted).author
    assert author.startswith("key tests (")


def test_a_change_says_what_it_is_based_on(asking: Asking) -> None:
    client = asking.client(*EVERYTHING)
    first = client.post(f"{OURS}/definitions", json=MINE).headers["etag"]
    place = f"{OURS}/definitions/mine"
    assert client.put(place, json=MINE | {"name": "A"}).status_code == 428
    assert client.put(place, json=MINE | {"name": "A"}, headers={"if-match": first}).status_code == 200
    late = client.put(place, json=MINE | {"name": "B"}, headers={"if-match": first})
    assert (late.status_code, late.json()["status"], late.json()["title"]) == (
        412,
        412,
        "Precondition Failed",
    )
    assert client.delete(place, headers={"if-match": first}).status_code == 412
    assert client.delete(place).status_code == 428
    assert client.get(place).json()["name"] == "A"


def test_half_a_character_is_told_with_its_place(asking: Asking) -> None:
    half = MINE | {"filters": {"field": "tier", "is": "\ud800"}}
    client = asking.client(*EVERYTHING)
    for place, body in (("definitions", half), ("reports", {"document": half})):
        answer = client.post(
            f"{OURS}/{place}", content=json.dumps(body), headers={"content-type": "application/json"}
        )
        assert answer.status_code == 422, answer.text
        [problem] = answer.json()["problems"]
        assert problem["where"].endswith("filters.is")


def test_everything_that_is_wrong_with_a_definition_is_told_at_once(asking: Asking) -> None:
    wrong = MINE | {"model": "balnce", "timezone": "EST", "file": {"format": "cvs"}}
    answer = asking.client(*EVERYTHING).post(f"{OURS}/definitions", json=wrong)
    assert answer.headers["content-type"] == "application/problem+json"
    told = {each["where"]: each["code"] for each in answer.json()["problems"]}
    assert answer.status_code == 422
    assert told["timezone"] == "unknown_time_zone", told
    answer = asking.client(*EVERYTHING).post(f"{OURS}/definitions", json=MINE | {"model": "balnce"})
    assert [each["code"] for each in answer.json()["problems"]] == ["unknown_model"]


def test_personal_data_leaves_by_who_has_that_scope_alone(asking: Asking) -> None:
    personal = MINE | {"fields": ["customer_id", "email"]}
    client = asking.client(Scope.DEFINITIONS_WRITE)
    answer = client.post(f"{OURS}/definitions", json=personal)
    assert [each["code"] for each in answer.json()["problems"]] == ["personal_not_permitted"]
    assert (
        asking.client(Scope.DEFINITIONS_WRITE, Scope.PERSONAL)
        .post(f"{OURS}/definitions", json=personal)
        .status_code
        == 201
    )


def test_a_yaml_file_is_read_and_not_changed(asking: Asking) -> None:
    (asking.context.settings.exports / "daily.yaml").write_text(
        "id: daily\nname: Daily\nmodel: balance\ntargets: [{kind: folder, options: {folder: daily}}]\n"
    )
    client = asking.client(*EVERYTHING)
    found = client.get(f"{OURS}/definitions/daily")
    assert found.json()["source"] == "yaml"
    answer = client.put(f"{OURS}/definitions/daily", json=MINE, headers={"if-match": found.headers["etag"]})
    assert answer.status_code == 409


def test_lists_come_in_pages(asking: Asking) -> None:
    for number in range(5):
        export(asking.context, f"export-{number}")
    client = asking.client(*EVERYTHING)
    seen, place = [], f"{OURS}/definitions?per_page=2"
    while place:
        page = client.get(place).json()
        assert page["total"] == 5
        seen += [each["id"] for each in page["items"]]
        place = page["next"]
    assert seen == [f"export-{number}" for number in range(5)]
    far = client.get(f"{OURS}/definitions?page=1000000&per_page=500")
    assert (far.status_code, far.json()["items"], far.json()["next"]) == (200, [], None)
    for query in ("page=0", "per_page=501", "page=1000001", "per_page=99999999999999999999", "page=x"):
        assert client.get(f"{OURS}/definitions?{query}").status_code == 422, query


def test_a_run_is_asked_for_in_the_name_of_the_key(asking: Asking) -> None:
    export(asking.context, "mine")
    wish = {"as_of": "2026-06-01T02:00:00+02:00", "dry_run": True}
    answer = asking.client(Scope.RUNS_START).post(f"{OURS}/definitions/mine/runs", json=wish)
    assert (answer.status_code, answer.json()["airflow_run_id"]) == (202, "manual__1")
    [(definition_id, conf, by)] = asking.started
    assert (definition_id, conf) == ("mine", {"as_of": "2026-06-01T02:00:00+02:00", "dry_run": True})
    assert by.startswith("key tests (")
    client = asking.client(*EVERYTHING)
    assert (
        client.post(f"{OURS}/definitions/mine/runs", json={"as_of": "2026-06-01T00:00:00"}).status_code == 422
    )
    assert client.post(f"{OURS}/definitions/mine/runs", json={"unknown": 1}).status_code == 422
    assert client.post(f"{OURS}/definitions/none/runs", json={}).status_code == 404
    made = finished(asking.context, "mine")
    assert client.post(f"{OURS}/runs/{made.run_key}/send", json={"again": True}).status_code == 202
    assert asking.started[-1][1] == {"resend": made.run_key, "again": True}


def test_runs_are_listed_and_read(asking: Asking) -> None:
    for name in ("one", "two"):
        export(asking.context, name)
    made, going = finished(asking.context, "one"), run(asking.context, "two")
    client = asking.client(Scope.RUNS_READ)
    assert {each["run_key"] for each in client.get(f"{OURS}/runs").json()["items"]} == {
        made.run_key,
        going.run_key,
    }
    assert [each["run_key"] for each in client.get(f"{OURS}/runs?status=done").json()["items"]] == [
        made.run_key
    ]
    assert client.get(f"{OURS}/runs?definition=two").json()["total"] == 1
    assert client.get(f"{OURS}/runs?since=2099-01-01T00:00:00Z").json()["total"] == 0
    read = client.get(f"{OURS}/runs/{made.run_key}")
    assert read.json()["as_of"] == "2026-03-01T00:00:00Z"
    assert [each["name"] for each in read.json()["files"]] == ["a.csv", "manifest.json"]
    again = client.get(f"{OURS}/runs/{made.run_key}", headers={"if-none-match": read.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_file_is_downloaded_and_told(asking: Asking) -> None:
    export(asking.context, "weekly-history")
    made = stored(asking.context, {"weekly.csv": CONTENT})
    client = asking.client(Scope.FILES_READ)
    place = f"{OURS}/runs/{made.run_key}/files/weekly.csv"
    whole = client.get(place)
    assert whole.content == CONTENT
    assert whole.headers["etag"] == f'"{hashlib.sha256(CONTENT).hexdigest()}"'
    part = client.get(place, headers={"range": "bytes=5-9"})
    assert (part.status_code, part.content) == (206, CONTENT[5:10])
    assert client.get(f"{OURS}/runs/{made.run_key}/files/other.csv").status_code == 404
    [last, *_] = asking.context.state.audit.newest(action=Action.DOWNLOADED)
    assert last.actor.startswith("key tests (")
    targets = [{"kind": "folder", "options": {"folder": "x"}}]
    fields = {"model": "customers", "fields": ["customer_id", "email"]}
    personal = stored(asking.context, {"people.csv": b"a\n"}, "people", targets, **fields)
    place = f"{OURS}/runs/{personal.run_key}/files/people.csv"
    assert client.get(place).status_code == 403
    assert asking.client(Scope.FILES_READ, Scope.PERSONAL).get(place).content == b"a\n"


def test_deliveries_are_read_and_a_word_is_written_down(asking: Asking) -> None:
    context = asking.context
    export(context, "weekly-history")
    made = stored(context, {"weekly.csv": CONTENT}, targets=[{"kind": "folder", "options": {"folder": "x"}}])
    key = delivery_key(made.run_key, "folder")
    claim = context.state.deliveries.claim(
        key, "w", timedelta(minutes=1), run_key=made.run_key, target="folder"
    )
    context.state.deliveries.sending(claim)
    context.state.deliveries.uncertain(claim, "the reply was lost")
    client = asking.client(Scope.DELIVERIES_READ)
    for path in (f"runs/{made.run_key}/deliveries", "deliveries", "deliveries?state=uncertain"):
        [found] = client.get(f"{OURS}/{path}").json()["items"]
        assert (found["key"], found["state"], found["definition_id"]) == (key, "uncertain", "weekly-history")
    assert client.get(f"{OURS}/deliveries?state=confirmed").json()["items"] == []
    word = {"word": "arrived", "note": "Jane has it"}
    assert client.post(f"{OURS}/deliveries/{key}/resolve", json=word).status_code == 403
    done = asking.client(Scope.DELIVERIES_SEND).post(f"{OURS}/deliveries/{key}/resolve", json=word)
    assert (done.status_code, done.json()["state"]) == (200, "confirmed")
    # What names people is for who may see them.
    assert done.json()["receipt"].keys().isdisjoint({"word", "recipients"})
    again = asking.client(Scope.DELIVERIES_SEND).post(f"{OURS}/deliveries/{key}/resolve", json=word)
    assert again.status_code == 422


def test_of_many_deliveries_a_key_sees_the_newest_of_its_own_exports(asking: Asking) -> None:
    context, keys = asking.context, []
    for name in ("one", "two"):
        export(context, name)
        made = finished(context, name)
        keys.append(delivery_key(made.run_key, "a"))
        context.state.deliveries.claim(keys[-1], "w", timedelta(minutes=1), run_key=made.run_key, target="a")
    client = asking.client(Scope.DELIVERIES_READ, exports=["one"])
    own = client.get(f"{OURS}/deliveries?per_page=1").json()
    assert ([each["key"] for each in own["items"]], own["total"], own["next"]) == (keys[:1], 1, None)
    all_of_them = asking.client(Scope.DELIVERIES_READ)
    newest = all_of_them.get(f"{OURS}/deliveries?per_page=1").json()
    assert ([each["key"] for each in newest["items"]], newest["total"]) == (keys[1:], 2)
    older = all_of_them.get(newest["next"]).json()
    assert ([each["key"] for each in older["items"]], older["next"]) == (keys[:1], None)
    run_key = older["items"][0]["run_key"]
    assert all_of_them.get(f"{OURS}/runs/{run_key}/deliveries").json()["items"] == older["items"]
    assert all_of_them.get(f"{OURS}/runs/{run_key}/deliveries?page=2").json()["items"] == []


@pytest.mark.parametrize("text", ["2026", "20260601", "1767225600", "-1", "2026.5", "2026-06-01"])
@pytest.mark.parametrize(
    "path", ["reports/balance?as_of=", "customers/c1/balance?as_of=", "runs?since=", "audit?since="]
)
def test_an_instant_is_no_number_of_seconds(asking: Asking, path: str, text: str) -> None:
    answer = asking.client(*EVERYTHING).get(f"{OURS}/{path}{text}")
    assert answer.status_code == 422
    [problem] = answer.json()["problems"]
    assert problem["right"] == "an instant is written 2026-01-31T00:00:00Z, or with another offset than Z"


@pytest.mark.parametrize("path", ["reports/customers", "customers/c1/balance", "customers/c1/transactions"])
def test_a_misspelt_parameter_does_not_give_the_whole(asking: Asking, path: str) -> None:
    answer = asking.client(*EVERYTHING).get(f"{OURS}/{path}?asof=2020-01-01T00:00:00Z&program=club")
    assert answer.status_code == 422
    assert [each["value"] for each in answer.json()["problems"]] == ["asof", "program"]
    assert "known are " in answer.json()["problems"][0]["right"]
    assert asking.client().get(f"{OURS}/{path}?asof=2020").status_code == 401


def test_the_audit_log_is_searched_and_goes_on(asking: Asking) -> None:
    for number in range(3):
        export(asking.context, f"export-{number}")
    client = asking.client(Scope.AUDIT_READ)
    first = client.get(f"{OURS}/audit?action=export_created&limit=2").json()
    rest = client.get(f"{OURS}/audit?action=export_created&limit=2&before={first['before']}").json()
    found = [each["subject"] for each in first["items"] + rest["items"]]
    assert found == ["export-2", "export-1", "export-0"]
    assert rest["before"] is None
    assert client.get(f"{OURS}/audit?action=nothing").status_code == 422
    assert client.get(f"{OURS}/audit?text=%00").status_code == 200


def test_what_is_too_large_is_refused(asking: Asking) -> None:
    client = asking.client(*EVERYTHING)
    answer = client.post(f"{OURS}/definitions", json=MINE | {"description": "x" * 2_000_000})
    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")
    assert answer.json()["detail"] == "What was sent has more than 1048576 bytes, the most here."
    piece = iter([b"x" * 600_000, b"x" * 600_000])
    in_pieces = client.post(
        f"{OURS}/definitions", content=piece, headers={"content-type": "application/json"}
    )
    assert (in_pieces.status_code, in_pieces.json()["title"]) == (413, answer.json()["title"])


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b'{"id": NaN}', b'{"a":' * 3000]
)
def test_a_body_that_is_no_document_is_told_so(content: bytes, asking: Asking) -> None:
    how: dict[str, Any] = {"content": content, "headers": {"content-type": "application/json"}}
    assert asking.client(*EVERYTHING).post(f"{OURS}/definitions", **how).status_code in {400, 422}


def test_errors_of_addresses_are_problems_too(asking: Asking) -> None:
    client = asking.client(*EVERYTHING)
    for method, path, status in (
        ("GET", "nothing", 404),
        ("PATCH", "definitions", 405),
        ("GET", "runs/x", 422),
    ):
        answer = client.request(method, f"{OURS}/{path}")
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
        assert answer.json()["status"] == status


def test_the_document_describes_every_route_and_shows_examples(asking: Asking) -> None:
    document = asking.client().get(f"{OURS}/openapi.json").json()
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["description"], path
            if method in {"put", "post"} and "requestBody" in operation:
                [content] = operation["requestBody"]["content"].values()
                schema = content["schema"]
                named = schema.get("$ref", "").rpartition("/")[2]
                shown = document["components"]["schemas"].get(named, schema)
                assert "example" in content or "examples" in content or "examples" in shown, (method, path)
