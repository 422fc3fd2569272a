"""One export as several files: by rows, by bytes before compression, or one for each value of a field.

Memory does not grow with the rows. Rows keep their order within their file. A part must be read before the next one
is asked for; what was left of it then is skipped. Who only checks how to split needs no compiled code, so its import is
inside functions.
"""

from __future__ import annotations

import hashlib
import itertools
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from include.definitions.naming import slug
from include.definitions.split import Split
from include.errors import BadInput, Problem
from include.formats.options import PACKED, FileOptions
from include.formats.pieces import numbered_pieces
from include.ledger.columns import Column

Part = tuple[str, Iterator[pa.RecordBatch]]

_ROWS_SORTED_AT_ONCE = 131_072
_LABEL_BYTES = 60
_NULL, _EMPTY, _NOTHING_LEFT = "none", "empty", "export"  # the last is what a slug is of nothing but signs
# Labels with a meaning of their own; `changes` is that of the file of what changed.
_TAKEN = {_NULL, _EMPTY, _NOTHING_LEFT, "changes"}


def split_problems(
    split: Split, columns: Sequence[Column], file: FileOptions, where: str = "file.split"
) -> list[Problem]:
    """Return everything that is wrong with a split of such a file."""
    names = [column.name for column in columns]
    for key, name in (("field", split.field), ("together", split.together)):
        if name is not None and name not in names:
            right = f"is no column of the file; it has {', '.join(names)}"
            return [Problem(f"{where}.{key}", name, right, "unknown_field")]
    if split.bytes is not None and file.format in PACKED:
        right = f"{file.format} is no text, so its bytes are not known row by row; split by rows"
        return [Problem(f"{where}.bytes", str(split.bytes), right, "bytes_of_packed_format")]
    return []


def split(
    batches: Iterable[pa.RecordBatch],
    columns: Sequence[Column],
    split: Split,
    file: FileOptions,
    scratch: Path,
) -> Iterator[Part]:
    """Yield (label, rows) for each file, at least one; labels are safe in names and different from each other.

    Labels are 0001, 0002, ... or made of the field's values (`none` for null, `empty` for an empty text), in the
    order of these. By bytes, each row is encoded twice: to be measured, and to be written. By field, the rows are
    laid down in `scratch`. Raises BadInput for more files than `split.most`.
    """
    if problems := split_problems(split, columns, file):
        raise BadInput(problems)
    if split.field is not None:
        return _by_field(batches, columns, split.field, split.most, scratch)
    source = _Source(batches)
    if split.rows is not None and split.together is not None:
        groups = _Groups(batches, [column.name for column in columns].index(split.together), split.rows)
        return _numbered(groups, groups.fitting, split.most)
    if split.rows is not None:
        rows = split.rows
        return _numbered(source, lambda: source.rows(rows), split.most)
    limit, size = split.bytes or 0, _Size(columns, file)
    return _numbered(source, lambda: source.bytes(limit, size), split.most)


def _numbered(
    source: _Source | _Groups, part: Callable[[], Iterator[pa.RecordBatch]], most: int
) -> Iterator[Part]:
    number = 0
    while number == 0 or source.has_more():
        number += 1
        if number > most:
            raise _too_many(most)
        rows = part()
        yield f"{number:04}", rows
        for _ in rows:
            """What the reader left belongs to this part."""


def _too_many(most: int) -> BadInput:
    right = (
        "the split makes more files than its `most`; choose larger files or another field, or raise `most`"
    )
    return BadInput([Problem("file.split.most", str(most), right, "too_many_files")])


class _Source:
    """Rows that are taken piece by piece; what a part does not want is there for the next."""

    def __init__(self, batches: Iterable[pa.RecordBatch]) -> None:
        self._pieces = (piece for _, piece in numbered_pieces(batches))
        self._held: pa.RecordBatch | None = None

    def has_more(self) -> bool:
        """Return whether any row is left."""
        if self._held is None:
            self._held = next(self._pieces, None)
        return self._held is not None

    def _next(self) -> pa.RecordBatch | None:
        piece, self._held = (self._held if self.has_more() else None), None
        return piece

    def _keep(self, rest: pa.RecordBatch) -> None:
        self._held = rest if rest.num_rows else None

    def rows(self, count: int) -> Iterator[pa.RecordBatch]:
        """Yield up to `count` rows."""
        while count and (piece := self._next()) is not None:
            self._keep(piece.slice(count))
            taken = piece.slice(0, count)
            count -= taken.num_rows
            yield taken

    def bytes(self, limit: int, size: _Size) -> Iterator[pa.RecordBatch]:
        """Yield rows while the file is not longer than `limit` bytes, but at least one."""
        left, begun = limit, False
        while (piece := self._next()) is not None:
            left = left if begun else limit - size.fixed(piece)
            count, length = size.fitting(piece, left)
            if not count and not begun:
                count, length = 1, size.of(piece.slice(0, 1))
            self._keep(piece.slice(count))
            if count:
                yield piece.slice(0, count)
            left, begun = left - length, True
            if count < piece.num_rows:
                return


class _Groups:
    """Rows that follow each other with one value of a column, taken whole."""

    def __init__(self, batches: Iterable[pa.RecordBatch], index: int, most: int) -> None:
        self._most = most
        self._groups = self._read(batches, index)
        self._held: tuple[str, list[pa.RecordBatch]] | None = None

    def has_more(self) -> bool:
        """Return whether any group is left."""
        if self._held is None:
            self._held = next(self._groups, None)
        return self._held is not None

    def fitting(self) -> Iterator[pa.RecordBatch]:
        """Yield groups while their rows fit into one file; raise BadInput for one that fits into none."""
        left = self._most
        while self.has_more() and self._held is not None:
            value, group = self._held
            count = sum(len(rows) for rows in group)
            if count > self._most:
                right = f"has {count} rows that belong together, and a file holds {self._most}"
                raise BadInput([Problem("file.split.rows", value, right, "group_too_large")])
            if count > left:
                return
            left, self._held = left - count, None
            yield from group

    @staticmethod
    def _read(batches: Iterable[pa.RecordBatch], index: int) -> Iterator[tuple[str, list[pa.RecordBatch]]]:
        from include.formats import styles

        held: list[pa.RecordBatch] = []
        last: object = None
        for _, piece in numbered_pieces(batches):
            values = styles.plain(piece.column(index)).to_pylist()
            edges = [at for at in range(1, len(values)) if values[at] != values[at - 1]]
            for start, stop in itertools.pairwise([0, *edges, len(values)]):
                if held and values[start] != last:
                    yield str(last), held
                    held = []
                last = values[start]
                held.append(piece.slice(start, stop - start))
        if held:
            yield str(last), held


class _Size:
    """How long rows are in a text format, in which a file's length is that of its frame and of its rows."""

    def __init__(self, columns: Sequence[Column], file: FileOptions) -> None:
        self._columns, self._module, self._options = columns, file.kind(), file.format_options()
        self._fixed: int | None = None

    def fixed(self, batch: pa.RecordBatch) -> int:
        """Return the length of what is in a file besides its rows."""
        if self._fixed is None:
            row = batch.slice(0, 1)
            self._fixed = 2 * self._length([row]) - self._length([row, row])
        return self._fixed

    def of(self, batch: pa.RecordBatch) -> int:
        """Return the length of rows."""
        return self._length([batch]) - self.fixed(batch)

    def fitting(self, batch: pa.RecordBatch, limit: int) -> tuple[int, int]:
        """Return how many of the rows, from the first on, are not longer than `limit` bytes, and how long they are."""
        fits, length, too_many, tried = 0, 0, batch.num_rows + 1, batch.num_rows
        while too_many - fits > 1:
            tried_length = self.of(batch.slice(0, tried))
            if tried_length <= limit:
                fits, length = tried, tried_length
            else:
                too_many = tried
            tried = (fits + too_many) // 2
        return fits, length

    def _length(self, batches: list[pa.RecordBatch]) -> int:
        return sum(len(chunk) for chunk in self._module.encode(self._columns, batches, self._options))


# By field


def _by_field(
    batches: Iterable[pa.RecordBatch], columns: Sequence[Column], field: str, most: int, scratch: Path
) -> Iterator[Part]:
    names = [column.name for column in columns]
    column = columns[names.index(field)]
    with tempfile.TemporaryDirectory(prefix="split-", dir=scratch) as folder:
        path = Path(folder) / "rows.arrow"
        places = _lay_down(path, batches, names.index(field), column, most)
        if not places:
            yield _NULL, iter(())
            return
        with pa.OSFile(str(path)) as source, pa.ipc.open_file(source) as laid:
            for value, label in labels(places).items():
                yield label, (laid.get_batch(place) for place in places[value])


def _lay_down(
    path: Path, batches: Iterable[pa.RecordBatch], index: int, column: Column, most: int
) -> dict[str | None, list[int]]:
    """Write the rows, sorted by the field within stretches; return each value's places in the file."""
    places: dict[str | None, list[int]] = {}
    written, writer = 0, None
    with pa.OSFile(str(path), "wb") as sink:
        for rows in _stretches(batches):
            writer = writer or pa.ipc.new_file(
                sink, rows.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")
            )
            for value, some in _grouped(rows, index, column):
                if value not in places and len(places) == most:
                    raise _too_many(most)
                places.setdefault(value, []).append(written)
                writer.write_batch(some)
                written += 1
        if writer is not None:
            writer.close()
    return places


def _stretches(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the rows in larger batches, dictionaries written out."""
    from include.formats import styles

    held: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        arrays = [styles.plain(array) for array in batch.columns]
        held.append(pa.record_batch(arrays, names=batch.schema.names))
        count += batch.num_rows
        if count >= _ROWS_SORTED_AT_ONCE:
            yield pa.concat_batches(held)
            held, count = [], 0
    if held:
        yield pa.concat_batches(held)


def _grouped(rows: pa.RecordBatch, index: int, column: Column) -> Iterator[tuple[str | None, pa.RecordBatch]]:
    """Yield each value's text and rows, which keep their order."""
    from include.formats import styles

    encoded = rows.column(index).dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    texts = styles.cells_of(column, encoded.dictionary, styles.TextStyle())
    order = np.argsort(codes, kind="stable")
    ordered = rows.take(pa.array(order))
    edges = np.flatnonzero(np.diff(codes[order], prepend=-2, append=-2))
    for start, stop in itertools.pairwise(edges):
        code = int(codes[order[start]])
        yield None if code < 0 else texts.text(code), ordered.slice(start, stop - start)


def labels(values: Iterable[str | None]) -> Mapping[str | None, str]:
    """Return a label for each value, sorted by value, null last: safe in a name, and different in any case.

    A label depends on its value alone, unless another value would get the same: then both get a hash of theirs.
    """
    ordered = sorted(values, key=lambda value: (value is None, (value or "").encode()))
    plain = {
        value: _NULL if value is None else _shortened(slug(value)) if value else _EMPTY for value in ordered
    }
    count = Counter(label.casefold() for label in plain.values())
    found = {}
    for value, label in plain.items():
        claimed = label.casefold() in _TAKEN and value != _NOTHING_LEFT
        alone = (
            count[label.casefold()] == 1 and not claimed and len(slug(value or "").encode()) <= _LABEL_BYTES
        )
        found[value] = (
            label if not value or alone else f"{label}-{hashlib.sha256(value.encode()).hexdigest()[:8]}"
        )
    return found


def _shortened(label: str) -> str:
    return label.encode()[:_LABEL_BYTES].decode(errors="ignore")
