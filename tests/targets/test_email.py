"""The email target: who gets what, by which way the files go, and what each answer of a server leads to."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from pydantic import ValidationError

from include.definitions.problems import problems_of
from include.errors import BadInput, Permanent, Transient, Uncertain
from include.targets import email
from include.targets.mail import session as sessions
from include.targets.protocol import Answer, Outcome, Receipt, Seen
from tests.servers.smtp import NAME
from tests.targets.mail_server import (
    CONTENT,
    DATA,
    MANIFEST,
    Links,
    Sender,
    options_of,
    parcel,
    parcel_of,
    personal,
    secrets_of,
    server,
)

__all__ = ["parcel", "server"]  # fixtures
pytestmark = pytest.mark.servers
ANN, BOB, EVE = "ann@shop.example", "bob@partner.example", "eve@audit.example"
THREE = {"to": [ANN], "cc": [BOB], "bcc": [EVE]}


@pytest.fixture
def send(server) -> Sender:
    return Sender(server)


def places(receipt: Receipt) -> list[str]:
    return [file.place for file in receipt.files]


# Who gets what


def test_each_recipient_gets_one_mail_that_names_the_others_but_not_the_blind_copy(server, parcel, send):
    receipt = send(parcel, **THREE, sender_name="Loyalty exports", reply_to="finance@shop.example")
    assert sorted(mail.recipient for mail in server.mails) == [ANN, BOB, EVE]
    for mail in server.mails:
        message = mail.message
        assert (message["to"], message["cc"], message["bcc"]) == (ANN, BOB, None)
        assert EVE.encode() not in mail.content
        assert message["from"] == "Loyalty exports <exports@shop.example>"
        assert message["reply-to"] == "finance@shop.example"
        assert message["subject"] == "Month-end liability: 2026-01"
        assert message["auto-submitted"] == "auto-generated"
        assert mail.attached == {DATA: CONTENT, MANIFEST: b"{}"}
    assert len({mail.message["message-id"] for mail in server.mails}) == 1
    assert [(each.address, each.answer, each.said) for each in receipt.recipients] == [
        (ANN, Answer.ACCEPTED, "250 kept"),
        (BOB, Answer.ACCEPTED, "250 kept"),
        (EVE, Answer.ACCEPTED, "250 kept"),
    ]
    assert server.sessions == 1


def test_who_stands_in_two_lists_gets_one_mail(server, parcel, send):
    send(parcel, to=[ANN], cc=["Ann@Shop.example"], bcc=[ANN])
    assert [mail.recipient for mail in server.mails] == [ANN]


def test_the_manifest_can_stay_at_home(server, parcel, send):
    receipt = send(parcel, manifest=False)
    assert list(server.mails[0].attached) == [DATA]
    assert [file.name for file in receipt.files] == [DATA]


def test_the_identity_is_that_of_the_delivery(server, parcel, send):
    send(parcel)
    Sender(server)(parcel)
    Sender(server)(replace(parcel, key="key2"))
    first, same, other = (mail.message["message-id"] for mail in server.mails)
    assert first == same != other
    assert first.endswith("@shop.example>")


# How the files go


def test_personal_data_goes_as_a_link_of_each_recipients_own(server, parcel, send):
    links = Links()
    receipt = send(replace(personal(parcel), links=links), **THREE)
    assert links.made == [f"{each} {DATA} 7 code" for each in (ANN, BOB, EVE)]
    for number, mail in enumerate(server.mails, 1):
        assert list(mail.attached) == [MANIFEST]
        assert CONTENT not in mail.content
        for kind in ("plain", "html"):
            assert f"https://exports.example/d/{number}" in mail.body(kind)
            assert "mails a code to this address" in mail.body(kind)
    assert len({mail.message["message-id"] for mail in server.mails}) == 3
    assert "https://" not in receipt.model_dump_json()
    assert places(receipt)[0] == "mail: link (code)"


def test_personal_data_is_never_attached_whoever_asks_for_it(server, parcel, send):
    with pytest.raises(Permanent, match=r"personal data that can be read.*encrypt the file"):
        send(personal(parcel), attach="always")
    assert server.mails == []


def test_a_signed_link_is_not_for_personal_data(server, parcel, send):
    with pytest.raises(Permanent, match=r"opens for anyone.*link: code or login"):
        send(replace(personal(parcel), links=Links()), link="signed", link_target="bucket")
    assert server.mails == []


@pytest.mark.parametrize(
    ("options", "made", "shown"),
    [
        ({"link": "login"}, f"{ANN} {DATA} 7 login", "https://exports.example/files/1"),
        ({"link": "code", "link_days": 2}, f"{ANN} {DATA} 2 code", "https://exports.example/d/1"),
        (
            {"link": "signed", "link_target": "bucket", "link_days": 3},
            f"bucket {DATA} 3",
            f"https://bucket.example/{DATA}?signature=x",
        ),
    ],
)
def test_links_of_every_kind(server, parcel, send, options, made, shown):
    links = Links()
    send(replace(parcel, links=links), attach="never", manifest=False, **options)
    assert links.made == [made]
    assert shown in server.mails[0].body("html")
    assert server.mails[0].attached == {}


def test_nothing_attached_and_no_link_tells_the_figures_alone(server, parcel, send):
    receipt = send(parcel, attach="never", link="none")
    assert server.mails[0].attached == {}
    assert "929,749.50" in server.mails[0].body("plain")
    assert DATA not in server.mails[0].body("html")
    assert places(receipt)[0].startswith("mail: told of in")


def test_without_links_a_file_that_needs_one_says_how_to_get_them(server, parcel, send):
    with pytest.raises(Permanent, match="LOYALTY_PUBLIC_URL"):
        send(personal(parcel))
    assert server.mails == []


def test_what_is_too_large_to_attach_goes_as_a_link_by_its_size_as_sent(server, tmp_path, send):
    """100,000 bytes are 136,845 as base64 with line ends: the limit is about those, and the mail around them."""
    parcel = replace(parcel_of(tmp_path, {"big.csv": bytes(100_000)}), links=Links())
    send(parcel, max_attachment=160_000)
    send(replace(parcel, key="key2"), max_attachment=130_000)
    assert [bool(mail.attached) for mail in server.mails] == [True, False]
    assert len(server.mails[0].content) < 160_000
    with pytest.raises(Permanent, match=r"max_attachment allows 130,000.*compress"):
        Sender(server)(replace(parcel, key="key3"), max_attachment=130_000, attach="always")


def test_the_servers_own_limit_counts_too(tmp_path):
    from tests.servers.smtp import mail_server

    parcel = replace(parcel_of(tmp_path, {"big.csv": bytes(100_000)}), links=Links())
    with mail_server(tmp_path, size=100_000) as server:
        Sender(server)(parcel)
        assert server.mails[0].attached == {}
        with pytest.raises(Permanent, match=r"this server takes 100,000"):
            Sender(server)(replace(parcel, key="key2"), attach="always")


def test_a_file_that_is_not_what_was_rendered_is_not_sent(server, parcel, send):
    parcel.files[0].path.write_bytes(b"other")
    with pytest.raises(Transient, match="is not the file that was rendered"):
        send(parcel)
    assert server.mails == []


# What servers answer


def test_a_refused_recipient_stops_nobody_and_is_named_with_the_servers_words(server, parcel, send):
    server.say("RCPT", "550 5.1.1 no such user here", to=BOB)
    with pytest.raises(Permanent, match=rf"2 of 3 .*refused: {BOB} \(550 5.1.1 no such user here\)"):
        send(parcel, **THREE)
    assert sorted(mail.recipient for mail in server.mails) == [ANN, EVE]
    assert send.answers() == {ANN: "accepted", BOB: "refused", EVE: "accepted"}
    server.answers.clear()
    receipt = send(parcel, **THREE)  # after somebody put it right
    assert sorted(mail.recipient for mail in server.mails) == [ANN, BOB, EVE]
    assert {file.outcome for file in receipt.files} == {Outcome.CREATED}


@pytest.mark.parametrize("command", ["RCPT", "DATA", "END", "MAIL"])
@pytest.mark.parametrize(
    "said", ["421 4.3.2 closing", "450 busy", "451 4.7.1 greylisted", "452 4.2.2 mailbox full"]
)
def test_not_now_is_tried_again_for_those_alone(server, parcel, send, command, said):
    server.say(command, said, to="exports@shop.example" if command == "MAIL" else BOB)
    with pytest.raises(Transient, match=rf"not now: .*{said}"):
        send(parcel, **THREE)
    server.answers.clear()
    send(parcel, **THREE)
    assert sorted(mail.recipient for mail in server.mails) == [ANN, BOB, EVE]


def test_an_unannounced_limit_names_the_remedy(server, parcel, send):
    server.say("END", "552 5.3.4 message too big", to=BOB)
    with pytest.raises(Permanent, match=r"552 5.3.4 message too big.*lower max_attachment"):
        send(parcel, **THREE)
    server.say("MAIL", "552 5.3.4 message size exceeds the limit")
    with pytest.raises(Permanent, match=r"552 5.3.4.*lower max_attachment"):
        Sender(server)(parcel)


def test_a_refused_sender_is_for_everybody(server, parcel, send):
    server.say("MAIL", "553 5.7.1 not your address")
    with pytest.raises(Permanent, match=r"takes no mail from exports@shop.example.*553 5.7.1.*Set `sender`"):
        send(parcel, **THREE)
    assert server.mails == []


# Doubt


def test_a_lost_answer_is_held_for_a_person_and_the_others_get_their_mail(server, parcel, send):
    server.losing.add(BOB)
    with pytest.raises(Uncertain, match=rf"2 of 3 .*nobody knows whether it arrived: {BOB}"):
        send(parcel, **THREE)
    assert send.answers() == {ANN: "accepted", BOB: "unknown", EVE: "accepted"}
    with pytest.raises(Uncertain, match=BOB):
        send(parcel, **THREE)
    assert len(server.of(BOB)) == 1
    assert email.look(options_of(**THREE), send.known(parcel), secrets_of(server)) is Seen.ABSENT


def test_a_lost_answer_is_sent_again_under_the_same_identity_where_that_is_wanted(server, parcel, send):
    server.losing.add(BOB)
    with pytest.raises(Transient, match="sent again"):
        send(parcel, **THREE, on_doubt="resend")
    server.losing.clear()
    send(parcel, **THREE, on_doubt="resend")
    assert sorted(mail.recipient for mail in server.mails) == [ANN, BOB, BOB, EVE]
    assert len({mail.message["message-id"] for mail in server.of(BOB)}) == 1


@pytest.mark.parametrize("on_doubt", ["hold", "resend"])
def test_silence_after_the_end_is_doubt(server, parcel, send, monkeypatch, on_doubt):
    monkeypatch.setattr(sessions, "END_SECONDS", 0.1)
    server.silent.add(ANN)
    with pytest.raises(Uncertain if on_doubt == "hold" else Transient):
        send(parcel, on_doubt=on_doubt, timeout_seconds=1)
    assert send.answers() == {ANN: "unknown"}


def test_a_killed_attempt_leaves_the_one_in_doubt_and_who_is_done(server, parcel, send):
    class Killed(BaseException):
        pass

    def kill(receipt: Receipt) -> None:
        if len(receipt.recipients) == 2 and receipt.recipients[1].answer is Answer.ACCEPTED:
            raise Killed  # the server has it, and that is not written down

    send.before_record = kill
    with pytest.raises(Killed):
        send(parcel, **THREE)
    assert send.answers() == {ANN: "accepted", BOB: "sending"}
    send.before_record = lambda _: None
    with pytest.raises(Uncertain, match=rf"{BOB} \(an earlier attempt ended"):
        send(parcel, **THREE)
    assert sorted(mail.recipient for mail in server.mails) == [ANN, BOB, EVE]


def test_an_attempt_that_lost_its_lease_sends_nothing_more(server, parcel, send):
    """The record before the end checks the fence; without the end the server forgets the message."""

    def stale(receipt: Receipt) -> None:
        if receipt.recipients[-1].address == BOB:
            raise RuntimeError("the claim is over")

    send.before_record = stale
    with pytest.raises(RuntimeError, match="is over"):
        send(parcel, **THREE)
    assert [mail.recipient for mail in server.mails] == [ANN]


def test_nothing_is_in_doubt_before_the_end_is_sent(server, parcel, send):
    """What is written down before each end: the recipient that is next, once, after all others' answers."""
    send(parcel, **THREE)
    order = [
        [(each.address, each.answer.value) for each in receipt.recipients][-1] for receipt in send.records
    ]
    expected = itertools.chain.from_iterable(((who, "sending"), (who, "accepted")) for who in (ANN, BOB, EVE))
    assert order == list(expected)


# Options


@pytest.mark.parametrize(
    ("given", "where", "right"),
    [
        ({"to": []}, "options.to", "at least 1"),
        ({"to": ["ann@shop.example\r\nBcc: x@y.example"]}, "options.to", "one e-mail address alone"),
        ({"to": ["Ann <ann@shop.example>"]}, "options.to", "one e-mail address alone"),
        ({"cc": ["ann"]}, "options.cc", "one e-mail address alone"),
        ({"subject": "{name}\r\nBcc: x@y.example"}, "options.subject", "one line"),
        ({"subject": "{conn.x.password}"}, "options.subject", "{conn.x.password} is not a placeholder"),
        ({"subject": "{0.__class__}"}, "options.subject", "is not a placeholder"),
        ({"subject": "{{ name }}"}, "options.subject", "is not a placeholder"),
        ({"text": "a } b"}, "options.text", "braces stand only around"),
        ({"link": "signed"}, "options.link_target", "names another target"),
        ({"link_target": "bucket"}, "options.link_target", "names another target"),
        ({"link_days": 0}, "options.link_days", "greater than or equal to 1"),
        ({"link": "signed", "link_target": "s3", "link_days": 8}, "options.link_days", "7 days at most"),
        ({"max_attachment": 1}, "options.max_attachment", "greater than or equal to 10000"),
        ({"password": "x"}, "options.password", "is not a key here"),
        ({"sender_name": "A\nB"}, "options.sender_name", "one line"),
        ({"bcc": [f"p{n}@shop.example" for n in range(51)]}, "options.bcc", "at most 50"),
    ],
)
def test_wrong_options_are_named(given, where, right):
    with pytest.raises(ValidationError) as caught:
        options_of(**given)
    [problem] = problems_of(caught.value, email.Options, where="options")
    assert where in problem.where.replace(": ", ".")
    assert right in problem.right


def test_all_that_is_wrong_is_told_at_once():
    with pytest.raises(ValidationError) as caught:
        options_of(to=["x"], cc=["y"], subject="{nope}", link="signed", on_doubt="ask")
    assert len(caught.value.errors()) == 5


def test_mail_goes_to_allowed_domains_alone(monkeypatch):
    monkeypatch.setenv("LOYALTY_MAIL_DOMAINS", "shop.example, .partner.example")
    options_of(to=[ANN, "x@eu.partner.example"])
    with pytest.raises(ValidationError, match=r"sends to shop\.example, \.partner\.example only"):
        options_of(cc=["x@evilshop.example"])
    with pytest.raises(ValidationError, match="LOYALTY_MAIL_DOMAINS"):
        options_of(bcc=["x@evil-partner.example"])
    monkeypatch.setenv("LOYALTY_MAIL_DOMAINS", "shop.example,@partner")
    with pytest.raises(BadInput, match="must be domains with commas"):
        options_of()


# Trying it


def test_trying_asks_for_each_recipient_and_sends_nothing(server):
    server.say("RCPT", "550 no such user", to=BOB)
    [problem] = email.test(options_of(**THREE), secrets_of(server))
    assert (problem.value, problem.code) == (BOB, "recipient_refused")
    assert "550 no such user" in problem.right
    [problem] = email.test(options_of(max_attachment=30_000_000), secrets_of(server))
    assert "takes 20,000,000" in problem.right
    assert server.mails == []


def test_trying_says_what_is_wrong_with_the_login(server):
    [problem] = email.test(options_of(), secrets_of(server.connection(password="wrong")))
    assert "refuses the login: 535" in problem.right
    [problem] = email.test(options_of(), secrets_of(server.connection(ca_file=None)))
    assert "certificate is not to be trusted" in problem.right
    assert problem.value == NAME
