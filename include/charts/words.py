"""Numbers and days as they stand in a picture: short on an axis, exact beside a mark."""

from __future__ import annotations

from datetime import date
from decimal import ROUND_HALF_UP, Decimal

Number = Decimal | int

MINUS, DASH = "\N{MINUS SIGN}", "\N{EN DASH}"

_STEPS = ((Decimal(10) ** 9, "bn"), (Decimal(10) ** 6, "m"), (Decimal(10) ** 3, "k"))
# How far each letter of ASCII moves the pen, from the space on, in thousandths of the size: of Inter at weight 400.
_ADVANCES = (
    281, 288, 466, 633, 642, 982, 644, 300, 365, 365, 501, 662, 288, 460, 288, 360, 631, 407, 610,
    618, 646, 593, 620, 566, 619, 620, 288, 302, 662, 662, 662, 511, 966, 690, 654, 730, 722, 601,
    590, 746, 743, 269, 571, 672, 565, 903, 753, 765, 639, 765, 644, 642, 646, 744, 690, 985, 682,
    679, 629, 365, 360, 365, 471, 456, 323, 562, 612, 571, 612, 583, 370, 613, 591, 242, 242, 549,
    242, 876, 591, 600, 612, 612, 376, 528, 327, 591, 562, 818, 546, 562, 552, 426, 333, 426, 662,
)  # fmt: skip
_OTHER, _SQUARE = 0.66, 1.0


def short(value: Number, *, even: bool = False) -> str:
    """Return a number in at most five characters and its sign: `58.7k`, `1.4m`, `870`; even: `2.0k`, not `2k`."""
    size = abs(Decimal(value))
    for step, unit in _STEPS:
        if size >= step * Decimal("0.9995"):
            places = 0 if size >= 100 * step else 1
            text = _rounded(Decimal(value) / step, places)
            return f"{text}.0{unit}" if even and places and "." not in text else f"{text}{unit}"
    return _rounded(Decimal(value), 0 if size >= 10 or value == int(value) else 2)


def exact(value: Number) -> str:
    """Return a number in full, with separators and the decimals that it has: `58,685.49`, `1,200`."""
    text = f"{value:,f}" if isinstance(value, Decimal) else f"{value:,}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def money(value: Number) -> str:
    """Return an amount in full, never with one decimal alone: `1,752.10`, `80`."""
    text = exact(value)
    return f"{text}0" if text[-2:-1] == "." else text


def signed(value: Number) -> str:
    """Return a number in full with its sign: `+58,685.49`, `0`."""
    return f"+{exact(value)}" if value > 0 else f"{MINUS}{exact(-value)}" if value < 0 else "0"


def percent(share: Decimal, places: int = 1) -> str:
    """Return a share as `19.5 %`."""
    return f"{(share * 100).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP):,f} %"


def day(value: date) -> str:
    """Return `3 Jun`."""
    return f"{value.day} {value:%b}"


def full_day(value: date) -> str:
    """Return `3 Jun 2026`."""
    return f"{value.day} {value:%b %Y}"


def width(text: str, size: float) -> float:
    """Return how wide a text is at a size; of letters beyond ASCII about, a little more rather than less."""
    return size * sum(map(_of, text))


def fitted(text: str, size: float, room: float) -> str:
    """Return the text, shortened with an ellipsis where it is wider than the room."""
    if width(text, size) <= room:
        return text
    while text and width(text + "…", size) > room:
        text = text[:-1]
    return text.rstrip() + "…"


def _of(letter: str) -> float:
    place = ord(letter) - ord(" ")
    if place < len(_ADVANCES):
        return _ADVANCES[place] / 1000
    return _SQUARE if letter >= "\u2e80" else _OTHER  # letters of East Asia are square


def _rounded(value: Decimal, places: int) -> str:
    text = f"{value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP):f}".replace("-", MINUS)
    return text.rstrip("0").rstrip(".") if "." in text else text
