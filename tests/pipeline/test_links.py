"""A delivery's links: behind a login, by a mailed code, or signed by the store that holds the file."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from include.connections import Connection
from include.errors import BadInput, NeedsPerson, Permanent, Transient
from include.pipeline import Context, deliver
from include.pipeline.links import ParcelLinks, with_code, with_login
from include.pipeline.upkeep import upkeep
from include.settings import Settings
from include.state.deliveries import Claim
from include.state.identity import delivery_key
from include.targets.protocol import ParcelFile
from tests.state.test_links import aged
from tests.web.runs import CONTENT, stored

PUBLIC = "https://loyalty.shop.example/airflow"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
TARGETS = [
    {"kind": "folder", "name": "house", "options": {"folder": "somewhere"}},
    {"kind": "s3", "name": "lake", "options": {"connection": "lake", "bucket": "points", "prefix": "out"}},
]


def connection(name: str) -> Connection:
    return Connection(
        name, "aws", login="AKIAIOSFODNN7EXAMPLE", password=SECRET, extra={"region_name": "eu-west-3"}
    )


@pytest.fixture
def context(tmp_path) -> Context:
    settings = Settings.from_environment({"LOYALTY_HOME": str(tmp_path), "LOYALTY_PUBLIC_URL": PUBLIC})
    return Context(settings, connection)


@pytest.fixture
def run(context):
    return stored(context, {"weekly.csv": CONTENT}, targets=TARGETS)


@pytest.fixture
def file(context, run) -> ParcelFile:
    [entry] = run.files
    return ParcelFile(
        context.store.path(entry["key"]), entry["name"], entry["sha256"], entry["bytes"], entry["media_type"]
    )


@pytest.fixture
def links(context, run) -> ParcelLinks:
    return ParcelLinks(context, run, "k" * 64)


def claimed(context, run, label: str) -> Claim:
    key = delivery_key(run.run_key, label)
    return context.state.deliveries.claim(key, "me", timedelta(minutes=1), run_key=run.run_key, target=label)


def test_a_page_for_who_has_a_login_is_always_the_same(links, run, file):
    address = links.page(file, "jane@shop.example", timedelta(days=7), login=True)
    assert address == f"{PUBLIC}/loyalty/files/{run.run_key}/weekly.csv"
    assert links.page(file, "joe@shop.example", timedelta(days=1), login=True) == address
    assert links.context.state.links.list() == []


def test_a_page_for_who_has_none_is_the_recipients_own(links, context, run, file):
    addresses = {
        links.page(file, recipient, timedelta(days=3), login=False)
        for recipient in ("jane@shop.example", "jane@shop.example", "joe@shop.example")
    }
    assert len(addresses) == 3
    found = context.state.links.list()
    assert sorted(each.recipient for each in found) == ["jane@shop.example"] * 2 + ["joe@shop.example"]
    assert {(each.run_key, each.file, each.delivery_key) for each in found} == {
        (run.run_key, "weekly.csv", "k" * 64)
    }
    for address in addresses:
        base, _, token = address.rpartition("/")
        assert base == f"{PUBLIC}/loyalty/d"
        assert context.state.links.find(token).active


def test_without_a_public_address_there_are_no_pages_and_no_tokens(context, run, file):
    private = Context(replace(context.settings, public_url=""), connection)
    for make in (
        lambda: ParcelLinks(private, run, "k" * 64).page(file, "a@b.example", timedelta(1), login=False),
        lambda: with_code(private, run.run_key, "weekly.csv", "a@b.example"),
        lambda: with_login(private.settings, run.run_key, "weekly.csv"),
    ):
        with pytest.raises(BadInput, match="LOYALTY_PUBLIC_URL"):
            make()
    assert private.state.links.list() == []


def test_names_are_quoted(context, run):
    address = with_login(context.settings, run.run_key, "Été / ?#.csv")
    assert address.endswith("/%C3%89t%C3%A9%20%2F%20%3F%23.csv")


def test_a_signed_link_leads_to_the_object_once_it_is_there(links, context, run, file):
    with pytest.raises(Transient, match="not at lake yet"):
        links.signed(file, "lake", timedelta(hours=1))
    claim = claimed(context, run, "lake")
    with pytest.raises(Transient, match="not at lake yet"):
        links.signed(file, "lake", timedelta(hours=1))
    context.state.deliveries.confirmed(claim, {"target": "s3"})
    address = links.signed(file, "lake", timedelta(hours=1))
    parts = urlsplit(address)
    assert parts.path.endswith("/out/weekly.csv")
    assert "points" in parts.netloc + parts.path
    assert parse_qs(parts.query)["X-Amz-Expires"] == ["3600"]
    assert SECRET not in address


def test_a_signed_link_to_what_waits_for_a_person_waits_too(links, context, run, file):
    context.state.deliveries.conflict(claimed(context, run, "lake"), "other content")
    with pytest.raises(NeedsPerson, match="waits for a person"):
        links.signed(file, "lake", timedelta(hours=1))


@pytest.mark.parametrize(
    ("label", "says"),
    [("house", "cannot sign an address"), ("lakes", "are house, lake"), ("", "are house, lake")],
)
def test_a_signed_link_needs_a_target_that_signs(links, file, label, says):
    with pytest.raises(BadInput, match=says):
        links.signed(file, label, timedelta(hours=1))


def test_an_error_of_signing_holds_no_secret(links, context, run, file):
    context.state.deliveries.confirmed(claimed(context, run, "lake"), {})
    with pytest.raises((BadInput, Permanent)) as caught:
        links.signed(file, "lake", timedelta(days=8))
    assert SECRET not in str(caught.value)


def test_a_delivery_has_links(context, monkeypatch, tmp_path):
    """The parcel that a target gets can make them."""
    from include.targets import folder

    run = stored(
        context,
        {"weekly.csv": CONTENT},
        "other",
        [{"kind": "folder", "options": {"folder": str(tmp_path / "there")}}],
    )
    seen = []
    real = folder.deliver

    def watching(options, parcel, *rest):
        seen.append(parcel.links.page(parcel.files[0], "jane@shop.example", timedelta(1), login=False))
        return real(options, parcel, *rest)

    monkeypatch.setattr(folder, "deliver", watching)
    receipt = deliver(context, run.run_key, 0)
    [found] = context.state.links.list()
    assert found.delivery_key == receipt["key"]
    assert seen[0].startswith(f"{PUBLIC}/loyalty/d/")


def test_upkeep_forgets_links_that_expired_a_month_ago(context, run):
    token = context.state.links.make(run_key=run.run_key, file="weekly.csv", recipient="jane@shop.example")
    assert upkeep(context)["forgotten_links"] == 0
    aged(context.state, token, expires_at=timedelta(days=38))
    assert upkeep(context)["forgotten_links"] == 1
    assert context.state.links.list() == []
