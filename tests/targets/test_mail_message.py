"""What a mail is made of: headers that cannot be forged, parts that arrive as they were, words, figures, a chart."""

from __future__ import annotations

import email
import email.policy
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from include.targets.mail import chart
from include.targets.mail.body import Body, Line, chart_alt, chart_figures, figures, size
from include.targets.mail.message import Attached, Image, Letter, compose, encoded_bytes, message_id
from include.targets.mail.wording import PLACEHOLDERS, checked, filled, subject
from include.targets.protocol import About
from tests.targets.mail_server import ABOUT

FROM, TO = "exports@shop.example", "ann@shop.example"
AT = datetime(2026, 2, 1, 6, 0, 0, tzinfo=UTC)
ID = message_id("key1", FROM)
LINES = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=150)
TEXTS = st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")
)


def parsed(content: bytes) -> EmailMessage:
    message = email.message_from_bytes(content, policy=email.policy.SMTP)
    assert isinstance(message, EmailMessage)
    return message


def letter(**changes) -> Letter:
    return replace(Letter(FROM, "Subject", "text\n", to=[TO]), **changes)


@given(told=LINES, text=TEXTS, html=TEXTS, content=st.binary(max_size=500), name=LINES.filter(str.strip))
def test_everything_arrives_as_it_was(told, text, html, content, name):
    made = compose(
        letter(subject=told, text=text, html=html or "<p>", attached=[Attached(name, "text/csv", content)]),
        ID,
        date=AT,
    )
    made.decode("ascii")
    assert all(len(line) <= 998 for line in made.split(b"\r\n"))
    assert b"\n" not in made.replace(b"\r\n", b"")
    message = parsed(made)
    # What could be read as an encoded word is set apart.
    assert " ".join(message["subject"].split()) == " ".join(told.replace("=?", "= ?").split())
    plain = message.get_body(("plain",)).get_content()
    assert plain.replace("\r\n", "\n").rstrip("\n") == text.rstrip("\n")
    [part] = message.iter_attachments()
    assert part.get_payload(decode=True) == content
    assert part.get_content_type() == "text/csv"


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": "x\r\nBcc: eve@evil.example"},
        {"subject": "x\nBcc: eve@evil.example"},
        {"sender_name": "x\r\nBcc: eve@evil.example"},
        {"to": ["ann@shop.example\r\nBcc: eve@evil.example"]},
        {"reply_to": "ann@shop.example\nBcc: eve@evil.example"},
    ],
)
def test_no_header_can_be_forged(changes):
    with pytest.raises(ValueError):
        compose(letter(**changes), ID)


@pytest.mark.parametrize(
    "text",
    [
        "=?us-ascii?Q?=0d=0aBcc:_eve@evil.example?=",
        "Points =?utf-8?b?YQ0KDQo8aDE+UGF5IGhlcmU=?=",
        "a =?utf-8?q?=0aReply-To:_eve@evil.example?= b",
    ],
)
def test_an_encoded_word_in_a_text_is_text(text):
    plain = parsed(compose(letter(), ID, date=AT)).keys()
    for changes in ({"subject": text}, {"sender_name": text}):
        made = compose(letter(**changes), ID, date=AT)
        assert made.replace(b"\r\n", b"").count(b"\n") == 0
        message = parsed(made)
        assert message.keys() == plain
        assert message.get_content() == "text\r\n"
        shown = [message["subject"], message["from"].addresses[0].display_name]
        assert text.replace("=?", "= ?") in shown


def test_the_same_letter_has_the_same_bytes():
    whole = letter(html="<p>", images=[Image("chart", b"png")], attached=[Attached("a", "text/csv", b"x")])
    assert compose(whole, ID, date=AT) == compose(whole, ID, date=AT)
    assert compose(whole, message_id("key2", FROM), date=AT) != compose(whole, ID, date=AT)


def test_an_identity_is_of_key_domain_and_recipient():
    assert message_id("key1", "other@shop.example") == ID
    assert (
        len({ID, message_id("key2", FROM), message_id("key1", "x@y.example"), message_id("key1", FROM, TO)})
        == 4
    )
    assert message_id("key1", FROM, TO) == message_id("key1", FROM, TO.upper())
    # printf 'message-id\0' | openssl dgst -sha256 -hmac key1
    assert ID == "<14fc2622647b541c8ff169556779d8cfa90afd8708aaaae3c192142e909f898e@shop.example>"


def test_who_is_named_nowhere_is_an_undisclosed_recipient():
    assert parsed(compose(letter(to=[]), ID))["to"] == "undisclosed-recipients:;"


def test_an_image_belongs_to_the_html():
    message = parsed(compose(letter(html='<img src="cid:chart">', images=[Image("chart", b"png")]), ID))
    [image] = [part for part in message.walk() if part.get_content_type() == "image/png"]
    assert image["content-id"] == "<chart>"
    assert image.get_content_disposition() == "inline"
    assert not list(message.iter_attachments())


@given(st.integers(0, 1000))
def test_the_size_of_an_attached_file_is_known_before(count):
    [part] = parsed(
        compose(letter(attached=[Attached("a", "text/csv", bytes(count))]), ID)
    ).iter_attachments()
    lines = part.get_payload().replace("\r\n", "\n").rstrip("\n").replace("\n", "\r\n")
    assert encoded_bytes(count) == (len(lines) + 2 if count else 0)


# Words


@pytest.mark.parametrize(
    "template", ["{nope}", "{{ name }}", "{0.__class__}", "{", "}", "{name", "{name!r}", "{}"]
)
def test_only_placeholders_are_filled(template):
    with pytest.raises(PydanticCustomError):
        checked(template)


@given(TEXTS, st.sampled_from(sorted(PLACEHOLDERS)))
def test_what_fills_a_placeholder_is_not_filled_again(text, name):
    about = replace(ABOUT, name="{owner}", owner=text)
    assert filled(checked("{name}"), about) == "{owner}"
    assert filled(checked(f"<{{{name}}}>"), about).startswith("<")


def test_a_subject_says_what_kind_of_sending_it_is():
    assert subject("{name}: {period}, {rows} rows", ABOUT) == "Month-end liability: 2026-01, 12,480 rows"
    assert subject("{name}", replace(ABOUT, revision=2)) == "Month-end liability (revision 2)"
    assert subject("{name} r{revision}", replace(ABOUT, revision=2)) == "Month-end liability r2"
    assert subject("{name}", replace(ABOUT, is_test=True)) == "Test: Month-end liability"
    assert subject("{name}", replace(ABOUT, sending=1)) == "Month-end liability (sent again)"
    assert subject("{name}", replace(ABOUT, name="a\r\nBcc: x")) == "a Bcc: x"


# The body


def body(about: About = ABOUT, **changes) -> Body:
    return replace(Body(about, "Subject", "Dear all,\n\nsee below.", [Line("a.csv", 1_840_000)]), **changes)


def test_the_text_of_a_mail():
    assert body(access="The link asks for your login.").text() == (
        "Month-end liability\n"
        "Period 2026-01; as of 2026-02-01 (Europe/Paris).\n"
        "\n"
        "Dear all,\n"
        "\n"
        "see below.\n"
        "\n"
        "* 12 rows were added and 3 changed since 2025-12.\n"
        "\n"
        "Files\n"
        "- a.csv (1.8 MB), attached\n"
        "\n"
        "The link asks for your login.\n"
        "\n"
        "Totals\n"
        "- issued: 1,840,000.00\n"
        "- redeemed: -910,250.50\n"
        "- open: 929,749.50\n"
        "\n"
        "--\n"
        "Sent by Loyalty Ledger Exports for Finance. Export month-end-liability."
    )


def test_no_text_of_anybody_is_html_or_a_template():
    evil = "<script>alert(1)</script>{{ 7*7 }}\"'"
    about = replace(ABOUT, name=evil, owner=evil, notes=(evil,), totals={"f": {evil: "1"}}, period=evil)
    told = body(about, intro=evil, files=[Line(evil, 1, link='https://x.example/"><b>')]).html()
    assert "<script>" not in told
    assert "49" not in told
    assert '"><b>' not in told
    assert told.count("&lt;script&gt;") >= 6


def test_a_chart_and_its_words():
    assert chart_alt(ABOUT) == "issued 1,840,000.00; redeemed -910,250.50; open 929,749.50"
    assert f'alt="{chart_alt(ABOUT)}"' in body(has_chart=True).html()
    assert "<img" not in body().html()


def test_a_mail_stays_short_however_many_totals_there_are():
    about = replace(ABOUT, totals={"a.csv": {f"column {n}": "1" for n in range(1000)}})
    assert "and 940 more, in the manifest" in body(about).html()
    assert len(body(about).html()) < 100_000
    assert body(about).html().count("<th") == 60
    assert "Totals" not in body(has_totals=False).html()


def test_figures_are_named_by_their_file_where_there_are_several():
    about = replace(ABOUT, totals={"a.csv": {"points": "1.00"}, "b.csv": {"points": "0.00"}})
    assert figures(about) == [("a.csv: points", Decimal("1.00")), ("b.csv: points", Decimal("0.00"))]
    assert chart_figures(about) == [("a.csv: points", Decimal("1.00"))]
    rows = replace(ABOUT, totals={}, rows={"a.csv": 3, "b.csv": 5})
    assert chart_figures(rows) == [("a.csv", Decimal(3)), ("b.csv", Decimal(5))]
    assert chart_figures(replace(ABOUT, totals={}, rows={"a.csv": 3})) == []


@pytest.mark.parametrize(
    ("count", "told"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (84_350, "84 kB"), (999_499, "999 kB"), (999_500, "1.0 MB"),
     (10**13, "10 TB"), (10**16, "10000 TB")],
)  # fmt: skip
def test_sizes_as_people_read_them(count, told):
    assert size(count) == told


# The chart


def pixels(content: bytes):
    import io

    from PIL import Image as Pictures

    return Pictures.open(io.BytesIO(content)).convert("RGBA")


def test_the_chart_shows_each_value_on_one_scale():
    """200 and 100 and -100: bars of 2, 1 and 1 units; what is negative lies on the other side, in another colour."""
    made = chart.bars([("a", Decimal(200)), ("b", Decimal(100)), ("c", Decimal(-100))])
    picture = pixels(made)
    assert picture.width == chart.WIDTH * 2
    rows = [42, 102, 162]  # the middles of the bars, between the texts' lines and their edges
    blue, orange = (54, 118, 214, 255), (208, 106, 54, 255)
    lengths = []
    for row, colour in zip(rows, (blue, blue, orange), strict=True):
        lengths.append(sum(picture.getpixel((x, row)) == colour for x in range(picture.width)))
    assert lengths[0] == pytest.approx(2 * lengths[1], abs=4)
    assert lengths[1] == pytest.approx(lengths[2], abs=4)
    assert lengths[0] > 400
    assert picture.getpixel((picture.width - 1, 0))[3] == 0  # see-through, for light and dark


def test_the_chart_has_the_same_bytes_each_time_and_a_limit():
    many = [(f"column {n}", Decimal(n)) for n in range(40)]
    assert chart.bars(many) == chart.bars(many) == chart.bars(many[: chart.MOST_BARS])
    assert chart.bars([("Премии", Decimal(1))]) == chart.bars([("total 1", Decimal(1))])


@given(
    st.lists(
        st.tuples(LINES, st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**30), max_value=10**30)),
        min_size=1, max_size=3,
    )
)  # fmt: skip
def test_any_figures_make_a_picture(given_figures):
    assert pixels(chart.bars(given_figures)).height > 0
