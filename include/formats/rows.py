"""Cells joined into rows of text: prefixes, quotes, escapes and formula neutralising, by compiled code (`row_kernel`).

One dialect table serves CSV and JSON Lines: what a byte costs when escaped, and whether it asks for quotes.
A row depends on nothing but itself, so the same rows give the same bytes however they are batched.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from include.formats import row_kernel as kernel
from include.formats.cells import Bytes, Cells, Instants, Numbers, Values
from include.formats.row_kernel import ASKS_FOR_QUOTES, BARE, NEVER_QUOTE, QUOTE_ALWAYS, QUOTE_WHEN_NEEDED
from include.ledger.memory import address

__all__ = [
    "BARE",
    "NEVER_QUOTE",
    "QUOTE_ALWAYS",
    "QUOTE_WHEN_NEEDED",
    "Cell",
    "Escapes",
    "NeedsQuotes",
    "Rows",
]
_LARGE = 1 << 23  # bytes of rows that no thread keeps room for
_EMPTY = np.zeros(2, np.int32)
_SPREAD = 4096  # texts of a dictionary that no cache is sure to hold
_OF_NUMBERS = b"0123456789-.:TZ"  # and of instants


@dataclass(frozen=True)
class Escapes:
    """How bytes are escaped inside quotes: `lead` and `short[byte]`, or `lead` u00XX where the cost is 5."""

    costs: Bytes
    short: Bytes
    lead: int
    specials: tuple[int, int, int]  # every byte with a cost is one of the first two, or below the third

    @staticmethod
    def of(lead: str, short: dict[str, str], *, asking: str = "", long: Sequence[int] = ()) -> Escapes:
        """Return the tables; `asking` are the characters that only ask for quotes."""
        costs = np.zeros(256, dtype=np.uint8)
        letters = np.zeros(256, dtype=np.uint8)
        for byte in long:
            costs[byte] = 5
        for character, letter in short.items():
            costs[ord(character)], letters[ord(character)] = 1, ord(letter)
        for character in asking:
            costs[ord(character)] |= ASKS_FOR_QUOTES
        special = [int(byte) for byte in np.flatnonzero(costs)]
        high = [byte for byte in special if byte >= 32]
        below = max((byte for byte in special if byte < 32), default=-1) + 1
        return Escapes(costs, letters, ord(lead), (high[0], high[-1], below))


@dataclass(frozen=True)
class Cell:
    """How one column's cells stand in a row: what precedes them, and when they are quoted."""

    prefix: Bytes
    null: Bytes
    quoting: int
    quote: int
    scanned: bool  # False for cells that never hold a special byte
    neutralised: bool = False
    quote_empty: bool = False


class NeedsQuotes(Exception):
    """A cell cannot be written without quotes: its row in the batch, its column's index, and its text."""

    def __init__(self, row: int, column: int, text: str) -> None:
        super().__init__(row, column, text)
        self.row, self.column, self.text = row, column, text


class _Sheet(threading.local):
    """What a thread writes rows on before they leave as bytes: memory that is in use already costs no page faults."""

    def __init__(self) -> None:
        self._held: Bytes = np.empty(1 << 20, dtype=np.uint8)

    def held(self, least: int) -> Bytes:
        """Return what there is, more than `least` bytes."""
        return self._held if len(self._held) > least else self.larger(self._held, 0, least + 1)

    def larger(self, sheet: Bytes, used: int, least: int) -> Bytes:
        """Return twice the room, at least `least` bytes more than are used, beginning with those."""
        wider = np.empty(max(2 * len(sheet), used + least), dtype=np.uint8)
        wider[:used] = sheet[:used]
        if len(wider) <= _LARGE:
            self._held = wider
        return wider


_sheet = _Sheet()


class Rows:
    """The layout of one file: made once, used by several threads; only what was seen of dictionaries changes."""

    def __init__(self, layout: Sequence[Cell], escapes: Escapes, end: Bytes) -> None:
        self._layout, self._escapes = tuple(layout), escapes
        texts = [text for cell in layout for text in (cell.prefix, cell.null)] + [end]
        ends = np.cumsum([len(text) for text in texts])
        self._words = np.concatenate([*texts, np.zeros(kernel.SLACK, np.uint8)])
        self._words.flags.writeable = False
        self._room = int(ends[-1]) + kernel.FIXED_WIDTH * len(layout) + kernel.SLACK
        self._table: kernel.Table = np.zeros((len(layout) + 1, kernel.FIELDS), np.uint64)
        spans = np.stack([ends - [len(text) for text in texts], ends], axis=-1)
        self._table[:, [kernel.PREFIX, kernel.PREFIX_END]] = spans[::2]
        self._table[:-1, [kernel.NULL, kernel.NULL_END]] = spans[1::2]
        for line, cell in zip(self._table, layout, strict=False):
            line[[kernel.QUOTING, kernel.QUOTE, kernel.QUOTE_EMPTY]] = (
                cell.quoting,
                cell.quote,
                cell.quote_empty,
            )
        # By column, its last dictionary (held, so that no other can come to lie there) and what its texts ask for.
        self._dictionaries: dict[int, tuple[Cells, tuple[bool, bool]]] = {}
        self._numbers_ask = bool(escapes.costs[list(_OF_NUMBERS)].any())

    def join(self, columns: Sequence[Values]) -> bytes:
        """Return the rows as bytes. Raises NeedsQuotes where `quoting` forbids what a cell needs."""
        table = self._table.copy()
        held = [self._line(index, values, table[index]) for index, values in enumerate(columns)]
        rows, row, position, sheet = columns[0].rows, 0, 0, _sheet.held(self._room)
        words, escapes = np.uint64(address(self._words)), self._escapes
        while True:
            row, end, why = kernel.write(
                table, words, rows, row, self._room, escapes.costs, escapes.short, escapes.lead, sheet,
                np.uint64(position),
            )  # fmt: skip
            position = int(end)
            if why == kernel.DONE:
                return sheet[:position].tobytes()
            if why == kernel.MORE_ROOM:
                sheet = _sheet.larger(sheet, position, self._room)
            elif isinstance(held[why], Instants):  # a year that its short form does not have
                held[why] = self._made(why, held[why].cells(), table[why])
            else:
                raise NeedsQuotes(row, why, held[why].cells().text(row))

    def _line(self, index: int, values: Values, line: npt.NDArray[np.uint64]) -> Values:
        """Describe a column to the compiled code; return what must be held until it is done."""
        cell = self._layout[index]
        bare = cell.quoting == BARE or (cell.quoting == QUOTE_WHEN_NEEDED and not len(cell.null))
        asks = self._numbers_ask
        if isinstance(values, Numbers):
            asks = asks or self._escapes.costs[ord(values.decimal_sign)] > 0
        if isinstance(values, Cells) or not bare or (asks and cell.quoting != BARE):
            return self._made(index, values.cells(), line)
        kind = kernel.NUMBER if isinstance(values, Numbers) else kernel.INSTANT
        line[: kernel.OFFSETS] = kind, address(values.values), address(values.nulls)
        if isinstance(values, Numbers):
            line[kernel.SCALE : kernel.FIELDS] = values.scale, values.least, ord(values.decimal_sign)
        return values

    def _made(self, index: int, cells: Cells, line: npt.NDArray[np.uint64]) -> Cells:
        cell = self._layout[index]
        offsets, data = cells.lie_at
        scanned, neutralised = self._care(index, cells, cell)
        alone = len(cell.null) > 0 and cell.quoting in {NEVER_QUOTE, QUOTE_WHEN_NEEDED}
        kind = kernel.CAREFUL
        if not (scanned or neutralised or cell.quote_empty or alone):
            kind = kernel.QUOTED if cell.quoting == QUOTE_ALWAYS else kernel.PLAIN
        spread = len(cells.at) > 0 and len(cells.offsets) > _SPREAD
        nulls, end, at = address(cells.nulls), data + int(cells.offsets[-1]), address(cells.at)
        line[: kernel.TEXT_FIELDS] = kind, data, nulls, offsets, end, at, spread, scanned, neutralised
        if len(cells.offsets) == 1:  # a dictionary of nothing
            line[kernel.OFFSETS] = address(_EMPTY)
        return cells

    def _care(self, index: int, cells: Cells, cell: Cell) -> tuple[bool, bool]:
        """Return which looks at each byte the texts ask for: those of a dictionary, which many batches share, once."""
        if not (cell.scanned or cell.neutralised):
            return False, False
        if not len(cells.at):
            return self._asks(cells, cell.scanned, False)[0], cell.neutralised
        held = self._dictionaries.get(index)
        if held is None or not held[0].same_values(cells):
            held = self._dictionaries[index] = cells, self._asks(cells, cell.scanned, cell.neutralised)
        return held[1]

    def _asks(self, cells: Cells, scanned: bool, neutralised: bool) -> tuple[bool, bool]:
        data = np.uint64(address(cells.data))
        return kernel.asks_for_care(cells.offsets, data, scanned, neutralised, self._escapes.specials)
