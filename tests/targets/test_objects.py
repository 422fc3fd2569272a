"""The targets s3, gcs and azure_blob at real servers: uploads in parts, names that are taken, broken connections."""

from __future__ import annotations

import hashlib
import os
import threading
from dataclasses import replace
from datetime import timedelta
from itertools import count
from urllib.parse import urlsplit

import pytest

from include.errors import NeedsPerson, Transient
from include.targets import objects
from include.targets.object_stores import client, gcs, reading, s3, sending
from include.targets.protocol import Outcome, ParcelFile, Seen, no_progress
from include.targets.unchanged import Stamp
from tests.servers import buckets, corners
from tests.servers.proxy import Fault, proxy_to
from tests.targets.object_parcels import BIG, check, left_over, outcomes, parcel

pytestmark = pytest.mark.servers


@pytest.fixture(params=corners.KINDS)
def corner(request):
    return corners.corner(request.param)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Small parts, fewer at once than there are, and little patience with servers that are gone."""
    monkeypatch.setattr(sending, "PART_BYTES", 5 << 20)
    monkeypatch.setattr(sending, "LANES", 2)
    monkeypatch.setattr(s3.S3, "most_streamed_bytes", 0)
    monkeypatch.setattr(client, "BACKOFF_SECONDS", 0.01)


@pytest.fixture(params=[*corners.KINDS, "s3 in one request"])
def way(request, monkeypatch):
    """Every way in which a large file goes up."""
    if request.param == "s3 in one request":
        monkeypatch.setattr(s3.S3, "most_streamed_bytes", 1 << 30)
    return corners.corner(request.param.split()[0])


def stamped(file: ParcelFile) -> ParcelFile:
    """The file as a delivery finds it that was made long ago."""
    os.utime(file.path, (10**9, 10**9))
    return replace(file, stamp=Stamp.of(file.path.stat()))


def test_a_large_file_is_one_object_with_its_terms(way, tmp_path):
    seen = []
    terms = {"metadata": {"team": "crm"}, "content_type": "text/plain", "content_encoding": "x-own"}
    receipt = way.module.deliver(
        way.options(**terms), parcel(tmp_path), way.secrets(), lambda done, total: seen.append(done)
    )
    assert outcomes(receipt) == [Outcome.CREATED] * 2
    assert len(seen) >= 3  # each part is told of
    check(way)
    found = way.attributes("x.csv")
    assert found["sha256"] == hashlib.sha256(BIG).hexdigest()
    assert (found["team"], found["delivery_key"]) == ("crm", "key1")
    assert (found["Content-Type"], found["Content-Encoding"]) == ("text/plain", "x-own")
    assert left_over(way) == []


def test_a_large_file_replaces_another_at_once(way, tmp_path):
    way.plant("x.csv", b"old")
    options = way.options(replace=True)
    receipt = way.module.deliver(options, parcel(tmp_path), way.secrets(), no_progress)
    assert outcomes(receipt) == [Outcome.REPLACED, Outcome.CREATED]
    check(way)


@pytest.mark.parametrize(("content", "name"), [(b"of somebody else", "other"), (BIG, "same")])
def test_a_name_that_is_taken_while_it_goes_up_stays_as_it_is(way, tmp_path, content, name):
    planted = threading.Event()

    def progress(done, _total):
        if 0 < done < len(BIG) and not planted.is_set():
            planted.set()
            way.plant("x.csv", content)

    call = (way.options(), parcel(tmp_path), way.secrets(), progress)
    if name == "other":
        with pytest.raises(NeedsPerson, match="other content"):
            way.module.deliver(*call)
        assert way.names() == ["x.csv"]
    else:
        assert outcomes(way.module.deliver(*call)) == [Outcome.ALREADY_THERE, Outcome.CREATED]
    assert planted.is_set()
    assert way.read("x.csv") == content
    assert left_over(way) == []


@pytest.mark.slow
def test_two_deliveries_at_once_make_one(way, tmp_path):
    """No lease protects them: the store lets one of them name it (SeaweedFS may tell two so: its issue 8800)."""
    found = []

    def run() -> None:
        for _ in range(20):
            try:
                receipt = way.module.deliver(way.options(), one, way.secrets(), no_progress)
            except Transient:
                continue
            found.append(receipt.files[0].outcome)
            return

    one = parcel(tmp_path)
    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    created = found.count(Outcome.CREATED)
    assert sorted(found) == [Outcome.ALREADY_THERE] * (6 - created) + [Outcome.CREATED] * created
    assert created == 1 or (way.kind == "s3" and created > 1)
    check(way)


@pytest.mark.parametrize("known", ["by its hash", "by its stamp"])
def test_a_source_that_changes_on_the_way_is_never_seen(way, known, tmp_path, monkeypatch):
    monkeypatch.setattr(sending, "LANES", 1)  # else the last part has been read when the first has gone
    one = parcel(tmp_path)
    if known == "by its stamp":
        one = replace(one, files=[stamped(file) for file in one.files])

    def progress(done, _total):
        if done:
            with one.files[0].path.open("r+b") as file:
                file.seek(len(BIG) - 10)
                file.write(b"0123456789")

    for told in (progress, no_progress):  # the second finds it changed from the beginning
        with pytest.raises(Transient, match="is not the file"):
            way.module.deliver(way.options(), one, way.secrets(), told)
        assert way.names() == []
        assert left_over(way) == []


def test_a_receiver_that_takes_the_file_at_once_has_it(corner, tmp_path, monkeypatch):
    one = parcel(tmp_path)
    send = objects.send

    def taken(*arguments, **named):
        created = send(*arguments, **named)
        corner.delete(arguments[2].name)
        return created

    monkeypatch.setattr(objects, "send", taken)
    receipt = corner.module.deliver(corner.options(), one, corner.secrets(), no_progress)
    assert outcomes(receipt) == [Outcome.CREATED] * 2


@pytest.mark.slow
@pytest.mark.parametrize("after", [1_000, 3_000_000, 10_500_000])
@pytest.mark.parametrize("fault", [Fault.CUT, Fault.HOLE])
def test_a_broken_connection_is_transient_and_the_next_attempt_makes_one_whole(
    way, tmp_path, monkeypatch, after, fault
):
    one, parts = parcel(tmp_path), urlsplit(way.endpoint)
    with proxy_to(parts.port) as proxy:
        secrets = way.secrets(f"http://127.0.0.1:{proxy.port}{parts.path}")
        assert way.module.look(way.options(), one, secrets) is Seen.ABSENT  # the way is right
        proxy.fail(fault, after)
        with monkeypatch.context() as impatient:
            impatient.setattr(client, "ATTEMPTS", 2)
            impatient.setattr(client, "CONNECT_SECONDS", 1)
            for module in (client, reading, gcs):
                impatient.setattr(module, "SILENCE_SECONDS", 0.5)
            with pytest.raises(Transient):
                way.module.deliver(way.options(), one, secrets, no_progress)
        assert proxy.faults
        assert way.names() == []
        proxy.heal()
        receipt = way.module.deliver(way.options(), one, secrets, no_progress)
    assert outcomes(receipt) == [Outcome.CREATED] * 2
    check(way)
    left_over(way)
    check(way)


@pytest.mark.slow
def test_a_lost_reply_makes_no_second_object(way, tmp_path, monkeypatch):
    """The connection breaks when the server begins its n-th reply, for every n until nothing breaks."""
    parts = urlsplit(way.endpoint)
    one = parcel(tmp_path)
    for reply in range(40):
        there = corners.corner(way.kind)
        with proxy_to(parts.port) as proxy, monkeypatch.context() as patched:
            secrets = there.secrets(f"http://127.0.0.1:{proxy.port}{parts.path}")
            asked = count()
            send = client.Client.send

            def counted(self, make, proxy=proxy, send=send, reply=reply, asked=asked):
                if next(asked) == reply:
                    proxy.fail(Fault.CUT, 0, "down", times=1)
                return send(self, make)

            patched.setattr(client.Client, "send", counted)
            try:
                there.module.deliver(there.options(), one, secrets, no_progress)
            except Transient:
                there.module.deliver(there.options(), one, secrets, no_progress)
            check(there)
            if not proxy.faults:
                return
    pytest.fail("more requests than expected")


def test_what_a_killed_process_left_is_found_and_removed(tmp_path):
    """In S3 it is paid for until somebody ends it; the other two end it by themselves, and nobody can list it."""
    corner = corners.corner("s3")
    from include.targets.object_stores.s3 import S3

    store = S3(buckets.BUCKET, corner.secrets().connections[corners.NAME])
    terms = sending.Terms("text/csv")
    for name in ("a b%20é.csv", "deeper/b.csv"):
        store.begin(f"{corner.prefix}/{name}", 10, terms, replace=False).part(1, b"x" * 10)
    corner.plant(".part-probe-1", b"")
    corner.plant("x.csv", b"")
    assert corner.module.clean(corner.options(), corner.secrets(), timedelta(hours=1)) == []
    expected = [f"{corner.prefix}/a b%20é.csv", f"{corner.prefix}/.part-probe-1"]
    assert left_over(corner) == expected
    assert left_over(corner) == []
    assert corner.names() == ["x.csv"]
    deeper = corner.options(prefix=f"{corner.prefix}/deeper")
    assert corner.module.clean(deeper, corner.secrets(), timedelta(seconds=-5)) == [
        f"{corner.prefix}/deeper/b.csv"
    ]
