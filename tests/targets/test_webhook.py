"""The webhook target: what goes out in each form, looking, trying, and options that cannot be meant."""

from __future__ import annotations

import base64
import email
import hashlib
import json
import resource
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import ValidationError

from include.connections import Secrets
from include.errors import BadInput, Permanent
from include.formats import artefact
from include.formats.manifest import Bundle, file_entry, manifest_of, write_manifest
from include.formats.options import FileOptions
from include.targets import webhook
from include.targets.hooks import bodies
from include.targets.protocol import (
    Answer,
    Outcome,
    Seen,
    no_progress,
)
from tests.forks import ended, forked
from tests.formats.examples import ROWS, table
from tests.formats.test_manifest import ORIGIN
from tests.servers import receiver as servers
from tests.servers.certificates import certificates
from tests.servers.receiver import NAME, receiver
from tests.targets.hooked import ABOUT, FEW, KEY, Kept, deliver, files_of, parcel_of, server

__all__ = ["server"]  # a fixture


# What goes out


def test_an_event_says_what_was_exported_and_nothing_of_anybody(server, tmp_path):
    parcel = parcel_of(tmp_path)
    receipt = deliver(server, parcel)
    (received,) = server.requests
    document = json.loads(received.body)
    assert (document["type"], document["timestamp"]) == ("export.delivered", "2026-04-01T04:00:00Z")
    data = document["data"]
    assert data["export"] == {"id": "daily_points", "name": "Daily points", "description": ""}
    assert (data["delivery"], data["period"], data["rows"], data["notes"]) == (
        KEY,
        "2026-03-31",
        8,
        list(ABOUT.notes),
    )
    first, manifest = data["files"]
    assert first == {
        "name": "points.csv.gz",
        "media_type": "text/csv",
        "bytes": parcel.files[0].bytes,
        "sha256": parcel.files[0].sha256,
        "rows": 8,
        "totals": {"points": "10250.50"},
    }
    assert set(manifest) == {"name", "media_type", "bytes", "sha256"}
    assert received.id == KEY
    assert received.headers["Content-Type"] == "application/json"
    (recipient,) = receipt.recipients
    assert recipient.address == f"http://localhost:{server.port} event"
    assert recipient.answer is Answer.ACCEPTED
    assert recipient.said.startswith("200 at 20")
    assert recipient.said.endswith(", id r-1")


class Given:
    """Links that say what they were asked for."""

    def page(self, file, recipient, expires, *, login):
        return f"https://ledger.example/{file.name}?to={recipient}&days={expires.days}&login={login}"

    def signed(self, file, target, expires):
        return f"https://{target}.example/{file.name}?days={expires.days}"


@pytest.mark.parametrize(
    ("options", "link"),
    [
        ({"link_target": "s3"}, "https://s3.example/points.csv.gz?days=7"),
        (
            {"link_recipient": "crm@example.com", "link_days": 2},
            "https://ledger.example/points.csv.gz?to=crm@example.com&days=2&login=False",
        ),
    ],
)
def test_an_event_links_to_the_files_where_it_is_asked_to(server, tmp_path, options, link):
    deliver(server, replace(parcel_of(tmp_path), links=Given()), **options)
    assert json.loads(server.requests[0].body)["data"]["files"][0]["link"] == link
    with pytest.raises(Permanent, match="nothing here makes links"):
        deliver(server, parcel_of(tmp_path), **options)
    assert len(server.requests) == 1


@pytest.mark.parametrize("format_", ["csv", "jsonl", "parquet", "xlsx", "xml"])
def test_rows_are_exact_whatever_the_file_is(server, tmp_path, format_):
    """12.5 points are 1250 hundredths; no number passes a float."""
    rows = [("t1", 1250), ("=t2", -7), ("t3", None), ("t4", 2**53 + 1)]
    file = FileOptions(format=format_, compression="none")
    deliver(server, parcel_of(tmp_path, rows, FEW, file, name="p"), body="rows")
    (received,) = server.requests
    found = json.loads(received.body, parse_float=Decimal, parse_int=Decimal)
    assert found == [
        {"id": "t1", "points": Decimal("12.5")},
        {"id": "=t2", "points": Decimal("-0.07")},
        {"id": "t3", "points": None},
        {"id": "t4", "points": Decimal("90071992547409.93")},
    ]
    assert "." in received.body.decode().partition("t4")[2]


def test_rows_of_every_type(server, tmp_path):
    deliver(server, parcel_of(tmp_path), body="rows")
    found = json.loads(server.requests[0].body, parse_float=Decimal, parse_int=Decimal)
    assert [row["id"] for row in found] == [row[0] for row in ROWS]
    assert [row["text"] for row in found] == [row[1] or None for row in ROWS]
    assert [row["money"] for row in found] == [row[3] for row in ROWS]
    assert [row["rate"] for row in found] == [row[4] for row in ROWS]
    assert [row["count"] for row in found] == [row[7] for row in ROWS]
    assert [row["active"] for row in found] == [row[8] for row in ROWS]
    assert found[0]["at"] == "2026-03-01T06:00:00Z"


def test_numbers_may_be_texts_for_readers_with_floats(server, tmp_path):
    rows = [("t1", 1250), ("t2", None)]
    deliver(server, parcel_of(tmp_path, rows, FEW), body="rows", numbers="string")
    assert json.loads(server.requests[0].body) == [
        {"id": "t1", "points": "12.50"},
        {"id": "t2", "points": None},
    ]


def test_rows_go_in_batches_with_an_id_each(server, tmp_path):
    rows = [(f"t{number}", number) for number in range(7)]
    seen = []
    parcel = parcel_of(tmp_path, rows, FEW)
    deliver(
        server, parcel, body="rows", batch_rows=3, progress=lambda done, total: seen.append((done, total))
    )
    assert [received.headers["X-Batch"] for received in server.requests] == ["1/3", "2/3", "3/3"]
    assert [received.id for received in server.requests] == [f"{KEY}-1-{batch}" for batch in (1, 2, 3)]
    assert [len(json.loads(received.body)) for received in server.requests] == [3, 3, 1]
    assert {received.headers["X-File"] for received in server.requests} == {"points.csv.gz"}
    assert {received.headers["X-Export"] for received in server.requests} == {"daily_points"}
    assert [row["id"] for received in server.requests for row in json.loads(received.body)] == [
        row[0] for row in rows
    ]
    assert seen == sorted(seen)
    assert seen[-1][0] == seen[-1][1]


@pytest.mark.parametrize(("count", "requests"), [(0, 1), (1, 1), (3, 1), (4, 2), (6, 2)])
def test_a_file_without_rows_says_so_and_no_batch_is_empty_otherwise(server, tmp_path, count, requests):
    rows = [(f"t{number}", number) for number in range(count)]
    deliver(server, parcel_of(tmp_path, rows, FEW), body="rows", batch_rows=3)
    assert len(server.requests) == requests
    assert sum(len(json.loads(received.body)) for received in server.requests) == count


def test_rows_that_cannot_be_read_are_refused_before_anything_is_sent(server, tmp_path, monkeypatch):
    parcel = parcel_of(tmp_path, [("t1", 1)] * 10, FEW)
    with pytest.raises(Permanent, match="this delivery has none"):
        deliver(server, replace(parcel, files=parcel.files[:1]), body="rows")
    for changes, told in (
        ({"encryption": "age"}, "are encrypted"),
        ({"bundle": Bundle(name="x.zip", bytes=1, sha256="0" * 64)}, "an archive"),
    ):
        written = artefact.write(tmp_path / "points.csv.gz", FEW, [table([("t1", 1)], FEW)], FileOptions())
        entry = file_entry(written, FEW, FileOptions())
        if "encryption" in changes:
            entry = entry.model_copy(update=changes)
        manifest = manifest_of([entry], ORIGIN, sequence=1, previous=None, bundle=changes.get("bundle"))
        with pytest.raises(Permanent, match=told):
            deliver(
                server,
                files_of([tmp_path / "points.csv.gz", write_manifest(tmp_path, manifest)]),
                body="rows",
            )
    monkeypatch.setattr(bodies, "MOST_REQUESTS", 4)
    with pytest.raises(Permanent, match="raise batch_rows"):
        deliver(server, parcel_of(tmp_path, [("t1", 1)] * 10, FEW), body="rows", batch_rows=2)
    assert server.requests == []


def test_files_go_as_they_are(server, tmp_path):
    parcel = parcel_of(tmp_path)
    receipt = deliver(server, parcel, body="file", method="PUT", headers={"X-Source": "loyalty"})
    data, manifest = server.requests
    assert (data.method, data.name, manifest.name) == ("PUT", "points.csv.gz", "points.csv.gz.manifest.json")
    assert data.body == parcel.files[0].path.read_bytes()
    digest = base64.b64encode(hashlib.sha256(data.body).digest()).decode()
    assert data.headers["Content-Digest"] == f"sha-256=:{digest}:"
    assert data.headers["X-Source"] == "loyalty"
    assert [(file.name, file.outcome) for file in receipt.files] == [
        ("points.csv.gz", Outcome.CREATED),
        ("points.csv.gz.manifest.json", Outcome.CREATED),
    ]


def test_a_form_holds_the_file_in_its_field(server, tmp_path):
    path = tmp_path / 'a"b.csv'
    path.write_bytes(b"id\r\n--x--\r\n")
    deliver(server, files_of([path]), body="file", form_field="upload", manifest=False)
    (received,) = server.requests
    head = f"Content-Type: {received.headers['Content-Type']}\r\n\r\n".encode()
    (part,) = email.message_from_bytes(head + received.body).get_payload()
    assert part.get_param("name", header="content-disposition") == "upload"
    assert part.get_param("filename", header="content-disposition") == "a%22b.csv"
    boundary = received.headers["Content-Type"].partition("boundary=")[2].encode()
    assert (
        received.body.split(b"\r\n\r\n", 1)[1].removesuffix(b"\r\n--" + boundary + b"--\r\n")
        == path.read_bytes()
    )


def test_without_a_manifest_only_the_data_goes(server, tmp_path):
    deliver(server, parcel_of(tmp_path), body="file", manifest=False)
    assert server.names() == ["points.csv.gz"]


def test_over_tls_with_an_authority_of_ones_own(tmp_path):
    with receiver(certificates(tmp_path / "tls")) as server:
        assert deliver(server, parcel_of(tmp_path), body="file").files
        assert (
            webhook.test(webhook.Options(connection=NAME), Secrets(Path(), {NAME: server.connection()})) == []
        )
        (problem,) = webhook.test(
            webhook.Options(connection=NAME), Secrets(Path(), {NAME: server.connection(ca_file="")})
        )
        assert "not trusted" in problem.right


# Looking, trying, options


def test_looking_asks_what_was_written_down(server, tmp_path):
    kept = Kept(parcel_of(tmp_path, [(f"t{number}", 1) for number in range(4)], FEW))
    options = webhook.Options(connection=NAME, body="rows", batch_rows=2)
    secrets = Secrets(Path(), {NAME: server.connection()})
    assert webhook.look(options, kept.next(), secrets) is Seen.ABSENT
    server.script = [servers.Answer(), servers.Answer(400)]
    with pytest.raises(Permanent):
        webhook.deliver(options, kept.next(), secrets, no_progress)
    assert webhook.look(options, kept.next(), secrets) is Seen.ABSENT
    webhook.deliver(options, kept.next(), secrets, no_progress)
    assert webhook.look(options, kept.next(), secrets) is Seen.SAME
    assert len(server.requests) == 3


def test_a_test_sends_nothing_unless_the_receiver_knows_pings(server):
    secrets = Secrets(Path(), {NAME: server.connection()})
    assert webhook.test(webhook.Options(connection=NAME), secrets) == []
    assert server.requests == []
    assert webhook.test(webhook.Options(connection=NAME, ping=True), secrets) == []
    assert json.loads(server.requests[0].body)["type"] == "ping"
    server.script = [servers.Answer(401)]
    (problem,) = webhook.test(webhook.Options(connection=NAME, ping=True), secrets)
    assert "login and password" in problem.right
    (problem,) = webhook.test(
        webhook.Options(connection=NAME), Secrets(Path(), {NAME: server.connection(allow_private=False)})
    )
    assert "inside the house" in problem.right
    (problem,) = webhook.test(
        webhook.Options(connection=NAME), Secrets(Path(), {NAME: server.connection(path="x")})
    )
    assert "begins with /" in problem.right


def test_a_missing_connection_says_how_to_make_it(tmp_path):
    with pytest.raises(BadInput, match="Admin > Connections"):
        webhook.deliver(webhook.Options(connection="nowhere"), parcel_of(tmp_path), Secrets(), no_progress)


@pytest.mark.parametrize(
    "options",
    [
        {"connection": "A B"},
        {"path": "x?y"},
        {"path": "../admin"},
        {"path": "v1/./.."},
        {"body": "xml"},
        {"method": "GET"},
        {"headers": {"Authorization": "Bearer x"}},
        {"headers": {"Cookie": "a=b"}},
        {"headers": {"Idempotency-Key": "x"}},
        {"headers": {"X-A": "b\r\nX-C: d"}},
        {"success": [302]},
        {"batch_rows": 0, "body": "rows"},
        {"batch_rows": 10},
        {"form_field": "f"},
        {"body": "file", "form_field": 'a"b'},
        {"body": "rows", "link_target": "s3"},
        {"link_target": "s3", "link_recipient": "a@example.com"},
        {"link_recipient": "a@example.com\r\nBcc: b@example.com"},
        {"link_days": 30},
        {"url": "https://elsewhere.example"},
        {"secret": "x"},
    ],
)
def test_options_that_cannot_be_meant_are_refused(options):
    with pytest.raises(ValidationError):
        webhook.Options.model_validate({"connection": NAME, **options})


@pytest.mark.slow
def test_memory_is_flat_whatever_the_size(server, tmp_path):
    path = tmp_path / "large.csv"
    with path.open("wb") as out:
        out.truncate(160 << 20)

    def work() -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        deliver(server, files_of([path]), body="file")
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        return 0 if grown < 64 << 10 else 1

    assert ended(forked(work)) == 0
    assert len(server.requests[0].body) == 160 << 20
