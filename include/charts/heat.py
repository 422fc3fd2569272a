"""Heat: a share in every cell of a table, told by lightness and by the number in it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from include.charts.canvas import TEXT, Canvas
from include.charts.scale import ticks
from include.charts.theme import HEAT_STEPS
from include.charts.words import width

_ROW, _HEAD, _FOOT = 22.0, 40.0, 34.0
_DECIMAL_FROM = 24.0  # pixels
_LEAST_WIDTH = 640.0  # a table cannot be squeezed: a phone scrolls


@dataclass(frozen=True)
class Row:
    """A name, what is said of it, and a share (0 to 1) at each age that it has reached."""

    name: str
    shares: tuple[Decimal | None, ...]


@dataclass(frozen=True)
class Heat:
    """Rows by columns. across: what columns count; step values are round and begin at zero."""

    across: str
    rows: tuple[Row, ...]

    def height(self, width: float) -> float:  # noqa: ARG002
        """Return how high the picture is at a width."""
        return _HEAD + len(self.rows) * _ROW + _FOOT

    def draw(self, canvas: Canvas) -> None:
        """Draw it all over the canvas."""
        canvas.width = max(canvas.width, _LEAST_WIDTH)
        left = max((width(row.name, TEXT) for row in self.rows), default=0.0) + 10
        columns = max((len(row.shares) for row in self.rows), default=1)
        cell = min((canvas.width - left) / columns, 44.0)
        step = self._step()
        canvas.text(left, TEXT, self.across)
        for column in range(columns):
            canvas.text(left + (column + 0.5) * cell, _HEAD - 8, str(column), anchor="middle", size=11)
        for index, row in enumerate(self.rows):
            top = _HEAD + index * _ROW
            canvas.text(left - 8, top + _ROW / 2 + 4, row.name, anchor="end", size=11)
            for column, share in enumerate(row.shares):
                if share is not None:
                    self._cell(canvas, left + column * cell, top, cell, row, column, share, step)
        self._legend(canvas, left, step)

    def _step(self) -> Decimal:
        """Return how much one colour stands for: a round share, so that all of them reach the highest."""
        most = max(
            (share for row in self.rows for share in row.shares if share is not None), default=Decimal(0)
        )
        steps = ticks([most / HEAT_STEPS * 100], 1)
        return max(steps[-1], Decimal("0.1")) / 100

    def _cell(
        self,
        canvas: Canvas,
        x: float,
        y: float,
        cell: float,
        row: Row,
        column: int,
        share: Decimal,
        step: Decimal,
    ) -> None:
        tone = min(HEAT_STEPS - 1, max(0, int(share / step)))
        said = f"{row.name}, {self.across.lower()} {column}: {_text(share, 2)} %"
        canvas.rect(x + 0.5, y + 0.5, cell - 1, _ROW - 1, f"h{tone}", said, round_=2)
        text = _text(share, 1 if cell >= _DECIMAL_FROM and share < Decimal("0.1") else 0)
        ink = "on-high" if tone >= HEAT_STEPS // 2 + 1 else "on-low"
        canvas.text(x + cell / 2, y + _ROW / 2 + 3.6, text, ink, anchor="middle", size=10.5)

    def _legend(self, canvas: Canvas, left: float, step: Decimal) -> None:
        y = canvas.height - 20
        for tone in range(HEAT_STEPS):
            x = left + tone * 46
            canvas.rect(x, y, 45, 8, f"h{tone}")
            canvas.text(x, y + 19, f"{_text(step * tone, 1)} %", size=10.5)


def _text(share: Decimal, places: int) -> str:
    text = f"{(share * 100).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
