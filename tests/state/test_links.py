"""A link opens what it was made for, as long and as often as it was made for, and the state cannot open it."""

from __future__ import annotations

import hashlib
import threading
from datetime import timedelta

import pytest
from sqlalchemy import BigInteger, select, type_coerce, update

from include import state
from include.errors import BadInput, NotYet, Permanent
from include.state.audit import Action
from include.state.links import CODE_ATTEMPTS, MOST_CODES, NoMoreCodes, token_hash
from include.state.tables import LINKS, MICROSECOND

ABOUT = {"run_key": "a" * 64, "file": "weekly.csv.gz", "recipient": "jane@shop.example"}


def aged(remembered, token: str, **columns: timedelta) -> None:
    """Set instants of a link back by so much, as if that time had passed."""
    values = {
        name: type_coerce(LINKS.c[name], BigInteger) - by // MICROSECOND for name, by in columns.items()
    }
    with remembered.database.write() as connection:
        connection.execute(update(LINKS).where(LINKS.c.token_sha256 == token_hash(token)).values(**values))


def rested(remembered, token: str) -> None:
    """Let the pause between two codes pass."""
    aged(remembered, token, code_sent_at=timedelta(minutes=1))


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10**8:08d}"


def test_a_code_opens_one_download(remembered):
    token = remembered.links.make(**ABOUT)
    code = remembered.links.new_code(token)
    assert len(code) == 8
    assert code.isdecimal()
    assert remembered.links.redeem(token, code).right
    assert not remembered.links.redeem(token, code).right
    found = remembered.links.find(token)
    assert (found.downloads, found.codes, found.active) == (1, 1, True)


def test_five_attempts_and_then_the_right_code_is_worth_nothing(remembered):
    token = remembered.links.make(**ABOUT)
    code = remembered.links.new_code(token)
    left = [remembered.links.redeem(token, wrong(code)).attempts_left for _ in range(CODE_ATTEMPTS)]
    assert left == [4, 3, 2, 1, 0]
    assert not remembered.links.redeem(token, code).right
    rested(remembered, token)
    assert remembered.links.redeem(token, remembered.links.new_code(token)).right


def test_attempts_at_once_are_counted_each(state_url):
    remembered = state.open(state_url)
    token = remembered.links.make(**ABOUT)
    code = remembered.links.new_code(token)
    answers = []

    def guess() -> None:
        answers.append(remembered.links.redeem(token, wrong(code)).attempts_left)

    threads = [threading.Thread(target=guess) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [0] * 8 + [1, 2, 3, 4]
    assert not remembered.links.redeem(token, code).right


def test_one_code_used_twice_at_once_opens_one_download(state_url):
    remembered = state.open(state_url)
    token = remembered.links.make(**ABOUT)
    code = remembered.links.new_code(token)
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(remembered.links.redeem(token, code).right))
        for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [False] * 4 + [True]


def test_a_code_is_valid_for_ten_minutes(remembered):
    token = remembered.links.make(**ABOUT)
    code = remembered.links.new_code(token)
    aged(remembered, token, code_expires_at=timedelta(minutes=9, seconds=50))
    assert remembered.links.redeem(token, wrong(code)).attempts_left == 4
    aged(remembered, token, code_expires_at=timedelta(seconds=11))
    assert remembered.links.redeem(token, code) == (False, 0)


def test_a_new_code_replaces_the_old_one(remembered):
    token = remembered.links.make(**ABOUT)
    old = remembered.links.new_code(token)
    rested(remembered, token)
    new = remembered.links.new_code(token)
    assert not remembered.links.redeem(token, old).right
    assert remembered.links.redeem(token, new).right


def test_codes_come_a_minute_apart_and_twenty_in_all(remembered):
    token = remembered.links.make(**ABOUT)
    remembered.links.new_code(token)
    with pytest.raises(NotYet, match="less than a minute") as early:
        remembered.links.new_code(token)
    with remembered.database.read() as connection:
        sent = connection.scalar(select(LINKS.c.code_sent_at))
    assert early.value.until == sent + timedelta(minutes=1)
    for _ in range(MOST_CODES - 1):
        rested(remembered, token)
        remembered.links.new_code(token)
    rested(remembered, token)
    with pytest.raises(NoMoreCodes, match="20 codes"):
        remembered.links.new_code(token)


def test_a_code_that_was_not_mailed_is_as_if_nobody_had_asked(remembered):
    token = remembered.links.make(**ABOUT)
    code = remembered.links.new_code(token)
    remembered.links.withdraw_code(token, wrong(code))
    assert remembered.links.find(token).codes == 1
    remembered.links.withdraw_code(token, code)
    assert remembered.links.find(token).codes == 0
    assert not remembered.links.redeem(token, code).right
    assert remembered.links.new_code(token) != code


def test_a_code_at_which_somebody_guessed_counts_even_when_its_mail_failed(remembered):
    """Else a mailbox that refuses mail would give its link guesses without end, five for each code."""
    token = remembered.links.make(**ABOUT)
    for _ in range(MOST_CODES):
        code = remembered.links.new_code(token)
        assert not remembered.links.redeem(token, wrong(code)).right
        remembered.links.withdraw_code(token, code)
        assert not remembered.links.redeem(token, code).right
    with pytest.raises(NoMoreCodes):
        remembered.links.new_code(token)


@pytest.mark.parametrize("how", ["expired", "revoked"])
def test_a_link_that_is_over_gives_nothing(remembered, how):
    token = remembered.links.make(**ABOUT, expires=timedelta(hours=1))
    code = remembered.links.new_code(token)
    if how == "expired":
        aged(remembered, token, expires_at=timedelta(hours=1))
    else:
        remembered.links.revoke(remembered.links.find(token).id)
    assert not remembered.links.redeem(token, code).right
    rested(remembered, token)
    with pytest.raises(Permanent, match="the link is over"):
        remembered.links.new_code(token)
    found = remembered.links.find(token)
    assert (found.active, found.state) == (False, how)


def test_links_live_seven_days_unless_told_and_never_for_ever(remembered):
    token = remembered.links.make(**ABOUT)
    found = remembered.links.find(token)
    lifetime = found.expires_at - found.created_at
    assert abs(lifetime - timedelta(days=7)) < timedelta(seconds=1)
    for wrong_time in (timedelta(0), timedelta(days=-1), timedelta(days=93)):
        with pytest.raises(BadInput) as caught:
            remembered.links.make(**ABOUT, expires=wrong_time)
        assert caught.value.problems[0].code == "bad_expiry"


def test_the_state_holds_neither_token_nor_code(remembered):
    token = remembered.links.make(**ABOUT)
    code = remembered.links.new_code(token)
    remembered.links.redeem(token, wrong(code))
    with remembered.database.read() as connection:
        rows = [
            str(dict(row._mapping))
            for table in (LINKS.metadata.tables.values())
            for row in connection.execute(select(table))
        ]
    text = "\n".join(rows)
    assert token_hash(token) in text
    assert token not in text
    assert code not in text.replace(token_hash(token), "")
    assert hashlib.sha256(code.encode()).hexdigest() not in text  # of a short code all hashes can be tried
    assert len(token) >= 43  # 256 bits
    assert remembered.links.make(**ABOUT) != token


def test_a_link_is_revoked_by_the_beginning_of_its_id(remembered):
    tokens = [remembered.links.make(**ABOUT) for _ in range(2)]
    ids = [remembered.links.find(token).id for token in tokens]
    for unknown in ("", "zzzz", "%", ids[0] + "x"):
        with pytest.raises(BadInput):
            remembered.links.revoke(unknown)
    assert remembered.links.revoke(ids[0]).state == "revoked"
    assert remembered.links.revoke(ids[0]).state == "revoked"
    assert remembered.links.find(tokens[1]).active
    assert len(remembered.audit.newest(action=Action.LINK_REVOKED)) == 1


def test_everything_done_with_a_link_is_in_the_audit_chain(remembered):
    token = remembered.links.make(**ABOUT, delivery_key="d" * 64)
    id_ = remembered.links.find(token).id
    code = remembered.links.new_code(token)
    remembered.links.code_sent(token)
    remembered.links.redeem(token, wrong(code))
    remembered.links.redeem(token, code)
    remembered.links.revoke(id_)
    entries = [(each.action, each.subject, each.actor) for each in remembered.audit.entries()]
    assert entries == [
        ("link_made", id_, "schedule"),
        ("code_sent", id_, "holder of the link"),
        ("code_refused", id_, "holder of the link"),
        ("downloaded", "a" * 64, "jane@shop.example"),
        ("link_revoked", id_, "schedule"),
    ]


def test_links_are_listed_and_forgotten_with_their_addresses(remembered):
    first = remembered.links.make(**ABOUT, expires=timedelta(hours=1))
    remembered.links.make(**(ABOUT | {"run_key": "b" * 64, "recipient": "joe@shop.example"}))
    assert [each.recipient for each in remembered.links.list(run_key="aaaa")] == ["jane@shop.example"]
    assert [each.run_key for each in remembered.links.list(recipient="joe@shop.example")] == ["b" * 64]
    assert remembered.links.list(run_key="%") == []
    aged(remembered, first, expires_at=timedelta(days=30))
    assert remembered.links.prune(timedelta(days=30)) == 0
    aged(remembered, first, expires_at=timedelta(hours=2))
    assert remembered.links.prune(timedelta(days=30)) == 1
    assert [each.recipient for each in remembered.links.list()] == ["joe@shop.example"]


def test_an_unknown_token_is_nobody(remembered):
    remembered.links.make(**ABOUT)
    for token in ("", "x", "é\udc80", "' OR 1=1 --", "../../etc/passwd"):
        assert remembered.links.find(token) is None
        assert remembered.links.redeem(token, "12345678") == (False, 0)
