"""What a picture shows is true to its figures: lengths from zero, steps to one scale, names escaped, nothing inline."""

from __future__ import annotations

import io
import re
from decimal import Decimal
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from include.charts import picture, words
from include.charts.axes import apart
from include.charts.bars import Bar, Bars
from include.charts.bridge import Bridge, Step
from include.charts.columns import Columns, Part
from include.charts.heat import Heat, Row
from include.charts.lines import Line, Lines
from include.charts.scale import Scale, spread, ticks
from include.charts.theme import DARK, LIGHT, SERIES
from include.web import assets

SVG = "{http://www.w3.org/2000/svg}"
EVIL = '<script>alert(1)</script> & "Co"'
DRAWINGS = {
    "lines": Lines("points", ("1 Jun", "2 Jun"), (Line(EVIL, (1, 2)), Line("Other", (Decimal("2.5"), None)))),
    "columns": Columns(
        "points", (EVIL, "b"), (Part("up", "s1", (3, 0)), Part(EVIL, "s2", (-1, -2))), frozenset({1})
    ),
    "bars": Bars("points", (Bar(EVIL, 10, "10", lighter=4), Bar("none", 0, "0"))),
    "bridge": Bridge(
        "points", Step("Opening", 100), (Step(EVIL, 5), Step("Redeemed", -8)), Step("Closing", 97)
    ),
    "heat": Heat("Months", (Row(EVIL, (Decimal("0.1"), Decimal("0.25"))), Row("b", (None,)))),
    "one point": Lines("points", ("1 Jun",), (Line("Only", (0,)),)),
    "all zero": Columns("points", ("a", "b"), (Part("nothing", "s1", (0, 0)),)),
    "empty": Bars("points", ()),
}


def svg(name: str, width: float = picture.HALF) -> ET.Element:
    text = picture.svg(DRAWINGS[name], name="x", title=EVIL, description=EVIL, width=width)
    return ET.fromstring(text)


@pytest.mark.parametrize("name", DRAWINGS)
@pytest.mark.parametrize("width", [picture.WIDE, picture.HALF, picture.PHONE])
def test_a_picture_is_sound_and_has_a_name_a_description_and_nothing_inline(name: str, width: float):
    text = picture.svg(DRAWINGS[name], name="x", title=EVIL, description="what", width=width)
    found = ET.fromstring(text)
    assert found.get("role") == "img"
    assert found.get("aria-labelledby") == "x-t x-d"
    assert (found.find(f"{SVG}title").text, found.find(f"{SVG}desc").text) == (EVIL, "what")  # type: ignore[union-attr]
    assert {each.tag.removeprefix(SVG) for each in found.iter()} <= {
        "svg", "title", "desc", "rect", "path", "circle", "text",
    }  # fmt: skip
    assert not any(key == "style" or key.startswith("on") for each in found.iter() for key in each.attrib)
    assert text == picture.svg(DRAWINGS[name], name="x", title=EVIL, description="what", width=width)


@pytest.mark.parametrize("name", DRAWINGS)
@pytest.mark.parametrize("width", [picture.WIDE, picture.HALF, picture.PHONE])
def test_nothing_lies_outside_the_picture(name: str, width: float):
    found = svg(name, width)
    _, _, wide, high = map(float, found.get("viewBox", "").split())
    for each in found.iter(f"{SVG}text"):
        length = words.width(each.text or "", float(each.get("font-size") or 12))
        x, y = float(each.get("x", 0)), float(each.get("y", 0))
        left = {"end": x - length, "middle": x - length / 2}.get(each.get("text-anchor", ""), x)
        assert -1.5 < left < wide + 1.5 - length, each.text
        assert 0 < y <= high, each.text
    for each in found.iter(f"{SVG}rect"):
        x, y, w, h = (float(each.get(key, 0)) for key in ("x", "y", "width", "height"))
        assert min(x, y, w, h) >= 0
        assert x + w <= wide + 0.5
        assert y + h <= high + 0.5


def test_bars_are_as_long_as_their_values():
    bars = Bars("points", tuple(Bar(str(value), value, str(value)) for value in (400, 300, 100, 0)))
    found = ET.fromstring(picture.svg(bars, name="x", title="", description=""))
    lengths = [float(each.get("width", 0)) for each in found.iter(f"{SVG}rect")]
    assert lengths[1] / lengths[0] == pytest.approx(0.75, abs=0.002)
    assert lengths[2] / lengths[0] == pytest.approx(0.25, abs=0.002)
    assert lengths[3] < 1


def heights(drawing: Columns) -> dict[str, list[float]]:
    """The heights of all boxes by class, as the paths draw them."""
    found = ET.fromstring(picture.svg(drawing, name="x", title="", description=""))
    return {
        each.get("class", ""): [float(height) for height in re.findall(r"v([-0-9.]+)h", each.get("d", ""))]
        for each in found.iter(f"{SVG}path") if "v" in each.get("d", "")
    }  # fmt: skip


def test_columns_are_as_high_as_their_values_from_zero():
    drawing = Columns("p", ("a", "b"), (Part("up", "s1", (100, 50)), Part("down", "s2", (-25, -75))))
    found = heights(drawing)
    unit = found["f-s1"][0] / 100
    assert [round(each / unit) for each in found["f-s1"]] == [100, 50]
    assert [round(each / unit) for each in found["f-s2"]] == [25, 75]


def test_a_bridge_whose_steps_lead_elsewhere_is_not_drawn():
    wrong = Bridge("points", Step("Opening", 100), (Step("Earned", 5),), Step("Closing", 104))
    with pytest.raises(ValueError, match="the steps lead to 105, and the closing is 104"):
        picture.svg(wrong, name="x", title="", description="")


def bridge_lengths(opening: int, *steps: int) -> tuple[list[float], str]:
    drawing = Bridge(
        "p",
        Step("Opening", opening),
        tuple(Step(str(x), x) for x in steps),
        Step("Closing", opening + sum(steps)),
    )
    text = picture.svg(drawing, name="x", title="", description="")
    rects = list(ET.fromstring(text).iter(f"{SVG}rect"))
    return [float(each.get("width", 0)) for each in rects], text


def test_the_steps_of_a_bridge_are_to_one_scale_and_a_cut_is_said():
    lengths, text = bridge_lengths(100_000, 5_000, -2_500)
    assert lengths[1] / lengths[2] == pytest.approx(2, abs=0.01)
    assert "The scale begins at" in text
    assert text.count('class="f-paper"') == 2  # both ends are cut
    # From zero where the steps can be seen without.
    lengths, text = bridge_lengths(100, 300, -150)
    assert "The scale begins" not in text
    assert 'class="f-paper"' not in text
    assert lengths[0] / lengths[1] == pytest.approx(1 / 3, abs=0.01)
    assert lengths[3] / lengths[0] == pytest.approx(2.5, abs=0.02)


def test_a_line_is_broken_where_nothing_is_known():
    drawing = Lines("p", ("a", "b", "c", "d"), (Line("x", (1, None, 2, 3)),))
    found = ET.fromstring(picture.svg(drawing, name="x", title="", description=""))
    strokes = [each.get("d", "") for each in found.iter(f"{SVG}path") if each.get("class") == "l-s1"]
    assert [each.count("L") for each in strokes] == [0, 1]


def test_heat_is_darker_for_more_and_the_legend_reaches_the_most():
    shares = (Decimal("0.01"), Decimal("0.3"), Decimal("0.62"), None)
    found = ET.fromstring(picture.svg(Heat("m", (Row("a", shares),)), name="x", title="", description=""))
    tones = [each.get("class") for each in found.iter(f"{SVG}rect")]
    assert tones[:3] == ["f-h0", "f-h3", "f-h6"]
    assert tones[3:] == [f"f-h{step}" for step in range(7)]


@given(st.lists(st.decimals(-(10**12), 10**12, places=2), min_size=1, max_size=20), st.integers(1, 8))
def test_ticks_are_even_round_and_hold_zero_and_every_value(values: list[Decimal], count: int):
    found = ticks(values, count)
    assert found[0] <= min(0, *values)
    assert found[-1] >= max(0, *values)
    assert 0 in found
    assert len({b - a for a, b in pairwise(found)}) == 1
    assert 2 <= len(found) <= count + 3


def test_a_scale_is_linear():
    scale = Scale(Decimal(0), Decimal(200), 100.0, 0.0)
    assert [scale(value) for value in (0, 50, 200)] == [100, 75, 0]


@given(st.integers(1, 400), st.integers(2, 20))
def test_labels_are_spread_evenly_with_the_last_among_them(count: int, most: int):
    found = spread(count, most)
    assert found[-1] == count - 1
    assert len(found) <= most
    assert len({b - a for a, b in pairwise(found)}) <= 1


@given(st.lists(st.floats(0, 200), min_size=1, max_size=5))
def test_labels_of_lines_do_not_lie_over_each_other(places: list[float]):
    found = apart(places, 30, 0, 200)
    ordered = sorted(found)
    assert all(b - a >= 29.999 for a, b in pairwise(ordered))
    assert [each for _, each in sorted(zip(places, found, strict=True))] == ordered


@pytest.mark.parametrize(
    ("value", "shown", "even"),
    [
        (0, "0", "0"), (7, "7", "7"), (Decimal("0.5"), "0.5", "0.5"), (870, "870", "870"), (999.4, "999", "999"),
        (1000, "1k", "1.0k"), (7026, "7k", "7.0k"), (58_685, "58.7k", "58.7k"), (866_504, "867k", "867k"),
        (999_600, "1m", "1.0m"), (1_277_524, "1.3m", "1.3m"), (-2500, "\N{MINUS SIGN}2.5k", "\N{MINUS SIGN}2.5k"),
    ],
)  # fmt: skip
def test_short_numbers(value: float, shown: str, even: str):
    number = Decimal(str(value))
    assert (words.short(number), words.short(number, even=True)) == (shown, even)


def test_values_on_the_axis_of_a_cut_bridge_are_told_apart():
    # 328,377.67 +175.72 -226.58: in short, every line of the scale would be of 328k.
    bridge = Bridge(
        "points", Step("Opening", Decimal("328377.67")),
        (Step("Earned", Decimal("175.72")), Step("Expired", Decimal("-226.58"))), Step("Closing", Decimal("328326.81")),
    )  # fmt: skip
    for width in (picture.HALF, picture.WIDE, picture.PHONE):
        text = picture.svg(bridge, name="b", title="t", description="d", width=width)
        labels = re.findall(r">(32[89](?:k|,[0-9]{3}))<", text)
        assert labels
        assert len({*labels}) == len(labels)


def test_money_is_never_shown_with_one_decimal():
    assert [words.money(Decimal(x)) for x in ("60.8", "1752.12", "80", "-0.5", "1234567.00")] == [
        "60.80", "1,752.12", "80", "-0.50", "1,234,567",
    ]  # fmt: skip


def test_exact_numbers_and_shares():
    assert words.exact(Decimal("58685.490")) == "58,685.49"
    assert words.exact(Decimal("1E+3")) == "1,000"
    assert words.exact(1200) == "1,200"
    assert words.signed(Decimal("-849.13")) == "\N{MINUS SIGN}849.13"
    assert words.percent(Decimal("0.19517474"), 2) == "19.52 %"
    assert words.fitted("Redeemed, given back", 12, 60) == "Redeem\N{HORIZONTAL ELLIPSIS}"


def test_a_png_is_a_picture_of_twice_the_size_and_always_the_same():
    text = picture.standing(
        DRAWINGS["bridge"], title="Bridge", subtitle="June", source="file", description="what"
    )
    made = picture.png(text)
    assert made == picture.png(text)
    image = Image.open(io.BytesIO(made))
    size = ET.fromstring(text)
    assert image.size == (2 * float(size.get("width", 0)), 2 * float(size.get("height", 0)))
    # Letters are drawn: the title's place is not empty.
    assert image.convert("L").crop((40, 40, 200, 80)).getextrema()[0] < 100


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_colours_can_be_seen_and_numbers_read(theme: dict[str, str]):
    for tone in (*SERIES, "up", "down", "total"):
        assert contrast(theme[tone], theme["paper"]) >= 3, tone
    for tone in ("ink", "soft", *SERIES):  # names at the ends of lines are in the colour of the line
        assert contrast(theme[tone], theme["paper"]) >= 4.5, tone
    for step in range(7):
        assert contrast(theme[f"h{step}"], theme["on-high" if step >= 4 else "on-low"]) >= 4.5, step


def test_the_style_sheet_has_the_same_colours():
    text = (assets.FOLDER / "dashboards.css").read_text()
    light, dark, preferred = re.findall(r"\{([^{}]*--s1:[^{}]*)\}", text)
    for block, theme in ((light, LIGHT), (dark, DARK), (preferred, DARK)):
        found = dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6});", block))
        assert found == {key: value for key, value in theme.items() if key in found}
        assert set(found) == set(theme) - {"paper", "ink", "soft", "grid", "axis"}
