"""A small chart of totals, as a PNG whose bytes depend on the figures alone. Made to be read on light and on dark."""

from __future__ import annotations

import io
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import ImageFont

MOST_BARS = 12
WIDTH = 560  # as shown; the picture has twice that, for screens of high density
_SCALE = 2
_BAR, _GAP, _MOST_LABEL, _TEXT = 18, 12, 200, 14
_POSITIVE, _NEGATIVE, _INK = (54, 118, 214, 255), (208, 106, 54, 255), (128, 134, 144, 255)


def bars(figures: Sequence[tuple[str, Decimal]]) -> bytes:
    """Return horizontal bars of the first figures, each with its label and its value; zero is a line."""
    from PIL import Image, ImageDraw, ImageFont

    shown = list(figures)[:MOST_BARS]
    gap, bar, wide = _GAP * _SCALE, _BAR * _SCALE, WIDTH * _SCALE
    font = ImageFont.load_default(_TEXT * _SCALE)
    assert isinstance(font, ImageFont.FreeTypeFont)
    labels = [
        _fitted(_drawable(label, index, font), font, _MOST_LABEL * _SCALE)
        for index, (label, _) in enumerate(shown)
    ]
    values = [f"{value:,}" for _, value in shown]
    left = gap + int(max(map(font.getlength, labels)))
    room = wide - left - gap - int(max(map(font.getlength, values)))
    low, high = (of(Decimal(0), *(value for _, value in shown)) for of in (min, max))
    unit = Decimal(room) / ((high - low) or 1)
    zero = left + int(-low * unit)
    height = gap + len(shown) * (bar + gap)
    picture = Image.new("RGBA", (wide, height), (0, 0, 0, 0))
    draw = ImageDraw.Draw(picture)
    for index, (_, value) in enumerate(shown):
        top, end = gap + index * (bar + gap), zero + int(value * unit)
        box = (min(zero, end), top, max(zero, end), top + bar)
        draw.rectangle(box, fill=_NEGATIVE if value < 0 else _POSITIVE)
        draw.text((left - gap, top + bar // 2), labels[index], _INK, font, anchor="rm")
        draw.text((max(zero, end) + gap // 2, top + bar // 2), values[index], _INK, font, anchor="lm")
    draw.line((zero, 0, zero, height), _INK, _SCALE)
    out = io.BytesIO()
    picture.save(out, "PNG")  # to optimize it would take five times as long for 3 %
    return out.getvalue()


def _drawable(label: str, index: int, font: ImageFont.FreeTypeFont) -> str:
    """Return the label, or its number where the font lacks a letter of it; the mail has the names in a table."""
    nothing = bytes(font.getmask("\uffff"))
    return label if all(bytes(font.getmask(x)) != nothing for x in label) else f"total {index + 1}"


def _fitted(label: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    while font.getlength(label) > width:
        label = label.removesuffix("...")[:-1] + "..."
    return label
