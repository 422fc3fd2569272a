"""The webhook target: what every answer means, and that nothing is sent twice."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from include.errors import NotYet, Permanent, Transient, Uncertain
from include.targets import webhook
from include.targets.protocol import (
    Answer,
    Outcome,
    Receipt,
    Recipient,
    Word,
)
from tests.servers import receiver as servers
from tests.servers.receiver import Received
from tests.targets.hooked import FEW, KEY, Kept, deliver, parcel_of, server

pytestmark = pytest.mark.slow

__all__ = ["server"]  # a fixture


# What an answer means


def test_what_was_taken_is_not_sent_again(server, tmp_path):
    kept = Kept(parcel_of(tmp_path))
    deliver(server, kept.next(), body="file")
    receipt = deliver(server, kept.next(), body="file")
    assert len(server.requests) == 2
    assert {file.outcome for file in receipt.files} == {Outcome.ALREADY_THERE}


def test_the_first_batch_that_was_not_taken_is_the_next_to_be_sent(server, tmp_path):
    kept = Kept(parcel_of(tmp_path, [(f"t{number}", 1) for number in range(5)], FEW))
    server.script = [servers.Answer(), servers.Answer(), servers.Answer(400, body=b"row 4 is bad")]
    with pytest.raises(Permanent, match="row 4 is bad"):
        deliver(server, kept.next(), body="rows", batch_rows=1)
    assert kept.answers == [Answer.ACCEPTED, Answer.ACCEPTED, Answer.REFUSED]
    assert "row 4 is bad" in kept.receipt.recipients[-1].said
    receipt = deliver(server, kept.next(), body="rows", batch_rows=1)
    assert [received.id[-1] for received in server.requests] == ["1", "2", "3", "3", "4", "5"]
    assert kept.answers == [Answer.ACCEPTED] * 5
    assert [file.outcome for file in receipt.files] == [Outcome.CREATED]
    assert kept.receipt == receipt


def test_everything_is_written_down_before_and_after(server, tmp_path):
    kept, states = Kept(parcel_of(tmp_path)), []
    plain = kept.record

    def record(receipt):
        states.append([(each.answer, len(server.requests)) for each in receipt.recipients])
        plain(receipt)

    deliver(server, replace(kept.parcel, record=record), body="file", manifest=False)
    assert states == [[(Answer.SENDING, 0)], [(Answer.ACCEPTED, 1)]]


@pytest.mark.parametrize("answer", [Answer.SENDING, Answer.UNKNOWN])
def test_a_request_that_nobody_saw_answered_waits_for_a_person(server, tmp_path, answer):
    parcel = parcel_of(tmp_path)
    left = Receipt(
        target="webhook", key=KEY, files=(), recipients=(Recipient(address="http://x event", answer=answer),)
    )
    with pytest.raises(Uncertain, match="Look there whether it has it"):
        deliver(server, replace(parcel, accepted=left, in_doubt=True))
    assert server.requests == []
    deliver(server, replace(parcel, accepted=left, in_doubt=True), receiver_is_idempotent=True)
    assert [received.id for received in server.requests] == [KEY]


def test_a_persons_word_that_it_did_not_arrive_ends_the_doubt(server, tmp_path):
    word = Word(arrived=False, by="ana", at=datetime.now(UTC))
    left = Receipt(
        target="webhook",
        key=KEY,
        files=(),
        recipients=(Recipient(address="http://x event", answer=Answer.UNKNOWN),),
        word=word,
    )
    receipt = deliver(server, replace(parcel_of(tmp_path), accepted=left))
    assert [each.answer for each in receipt.recipients] == [Answer.ACCEPTED]


@pytest.mark.parametrize("how", ["cut", "cut before"])
def test_a_lost_answer(server, tmp_path, how):
    kept = Kept(parcel_of(tmp_path))
    server.script = [servers.Answer(how=how)]
    with pytest.raises(Uncertain, match="nobody can tell whether it took event"):
        deliver(server, kept.next())
    assert kept.answers == [Answer.UNKNOWN]
    kept = Kept(parcel_of(tmp_path))
    server.script = [servers.Answer(how=how)]
    with pytest.raises(Transient) as caught:
        deliver(server, kept.next(), receiver_is_idempotent=True)
    assert not isinstance(caught.value, Uncertain)
    deliver(server, kept.next(), receiver_is_idempotent=True)
    assert kept.answers == [Answer.ACCEPTED]
    assert {received.id for received in server.requests} == {KEY}


@pytest.mark.parametrize("status", [502, 504, 522])
def test_a_gateway_that_got_no_answer_is_a_doubt_too(server, tmp_path, status):
    server.script = [servers.Answer(status)]
    with pytest.raises(Uncertain, match="nobody can tell whether it took event"):
        deliver(server, parcel_of(tmp_path))
    server.script = [servers.Answer(status)]
    with pytest.raises(Transient):
        deliver(server, parcel_of(tmp_path), receiver_is_idempotent=True)


def known(received: Received) -> servers.Answer:
    return servers.Answer(409, body=json.dumps({"error": "duplicate", "key": received.id}).encode())


def test_a_conflict_that_names_our_key_means_that_it_has_it(server, tmp_path):
    server.always = known
    receipt = deliver(server, parcel_of(tmp_path))
    assert receipt.recipients[0].answer is Answer.ACCEPTED
    assert "already" in receipt.recipients[0].said
    server.always = lambda received: servers.Answer(409, {"Idempotency-Key": received.id}, b"")
    assert deliver(server, parcel_of(tmp_path)).recipients[0].answer is Answer.ACCEPTED


def test_a_conflict_about_something_else_is_a_refusal_unless_the_answer_was_lost(server, tmp_path):
    server.script = [servers.Answer(409, body=b"the period is closed")]
    with pytest.raises(Permanent, match="the period is closed"):
        deliver(server, parcel_of(tmp_path))
    kept = Kept(parcel_of(tmp_path))
    server.script = [
        servers.Answer(how="cut"),
        servers.Answer(503, {"Retry-After": "60"}),
        servers.Answer(409),
    ]
    for kind in (Transient, NotYet):
        with pytest.raises(kind):
            deliver(server, kept.next(), receiver_is_idempotent=True)
        assert kept.answers == [Answer.UNKNOWN]  # the doubt of before stays
    deliver(server, kept.next(), receiver_is_idempotent=True)
    assert kept.answers == [Answer.ACCEPTED]


def test_who_asks_us_to_wait_a_little_is_asked_again_with_the_same_id(server, tmp_path):
    server.script = [servers.Answer(429, {"Retry-After": "1"}), servers.Answer(503, {"Retry-After": "0"})]
    began = time.monotonic()
    deliver(server, parcel_of(tmp_path))
    assert time.monotonic() - began >= 1
    assert [received.id for received in server.requests] == [KEY] * 3
    stamps = [received.headers["webhook-timestamp"] for received in server.requests]
    assert stamps[0] < stamps[-1]  # signed anew


def test_who_asks_us_to_wait_long_is_asked_then(server, tmp_path):
    kept = Kept(parcel_of(tmp_path))
    server.script = [servers.Answer(429, {"Retry-After": "600"})]
    with pytest.raises(NotYet) as caught:
        deliver(server, kept.next())
    assert timedelta(seconds=590) < caught.value.until - datetime.now(UTC) <= timedelta(seconds=600)
    assert kept.answers == [Answer.LATER]
    deliver(server, kept.next())


def test_who_is_always_busy_is_tried_later(server, tmp_path, monkeypatch):
    monkeypatch.setattr(webhook.time, "sleep", lambda _seconds: None)
    kept = Kept(parcel_of(tmp_path))
    server.always = lambda _: servers.Answer(503)
    with pytest.raises(Transient, match="answers 503"):
        deliver(server, kept.next())
    assert len(server.requests) == webhook.ATTEMPTS
    assert kept.answers == [Answer.LATER]


def test_a_server_error_is_transient(server, tmp_path):
    kept = Kept(parcel_of(tmp_path))
    server.script = [servers.Answer(500, body=b"oops")]
    with pytest.raises(Transient, match="answers 500: oops"):
        deliver(server, kept.next())
    deliver(server, kept.next())
    assert kept.answers == [Answer.ACCEPTED]


def test_only_the_agreed_statuses_are_success(server, tmp_path):
    server.script = [servers.Answer(200)]
    with pytest.raises(Permanent, match="answers 200"):
        deliver(server, parcel_of(tmp_path), success=[201, 202])
    server.script = [servers.Answer(202)]
    assert deliver(server, parcel_of(tmp_path), success=[201, 202]).recipients[0].said.startswith("202")


@pytest.mark.parametrize(
    ("answer", "own"),
    [
        (servers.Answer(headers={"X-Request-Id": "abc"}), ", id abc"),
        (servers.Answer(body=b'{"X-Request-Id": 17}'), ", id 17"),
        (servers.Answer(body=b'{"X-Request-Id": {"a": 1}}'), ""),
        (servers.Answer(body=b"[" * 100_000), ""),
        (servers.Answer(body=b"OK"), ""),
    ],
)
def test_the_receipt_has_the_receivers_own_id(server, tmp_path, answer, own):
    server.script = [answer]
    said = deliver(server, parcel_of(tmp_path), answer_id="X-Request-Id").recipients[0].said
    assert said.partition("Z")[2] == own


def test_a_secret_that_the_receiver_repeats_is_in_no_receipt(server, tmp_path):
    kept = Kept(parcel_of(tmp_path))
    server.script = [servers.Answer(400, body=b"bad token canary-1234 at /hidden-path")]
    with pytest.raises(Permanent):  # the pipeline scrubs what is raised
        deliver(server, kept.next(), extra={"token": "canary-1234", "path": "/hidden-path"})
    assert "bad token *** at ***" in kept.receipt.recipients[0].said


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_a_batch_in_doubt_waits_and_the_others_go_out_before_a_person_is_asked(server, tmp_path, lost):
    kept = Kept(parcel_of(tmp_path, [("t1", 1), ("t2", 2), ("t3", 3)], FEW))
    server.script = [servers.Answer()] * (lost - 1) + [servers.Answer(how="cut")]
    for kind in (Transient, Uncertain) if lost < 3 else (Uncertain, Uncertain):
        with pytest.raises(kind, match=f"took points.csv.gz: batch {lost} of 3"):
            deliver(server, kept.next(), body="rows", batch_rows=1)
    assert sorted(received.id[-1] for received in server.requests) == ["1", "2", "3"]
    # It did not arrive, says a person: it alone is sent again.
    word = Word(arrived=False, by="ana", at=datetime.now(UTC))
    known = tuple(each for each in kept.receipt.recipients if each.answer is Answer.ACCEPTED)
    resolved = kept.receipt.model_copy(update={"word": word, "recipients": known})
    receipt = deliver(server, replace(kept.parcel, accepted=resolved), body="rows", batch_rows=1)
    assert sorted(received.id[-1] for received in server.requests) == sorted(["1", "2", "3", str(lost)])
    assert [each.answer for each in receipt.recipients] == [Answer.ACCEPTED] * 3
