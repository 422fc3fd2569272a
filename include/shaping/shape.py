"""From a model's rows to the rows of a file: filter, aggregation or order, limit, layout or fields, privacy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from include.definitions import aggregation, filters, order
from include.definitions.aggregation import Aggregated
from include.definitions.content import Content, FieldChoice
from include.definitions.fields import column_of, known, resolve
from include.definitions.privacy import minimum
from include.errors import BadInput, Problem
from include.ledger.columns import Column
from include.shaping import paths
from include.shaping.aggregating import aggregated, aggregated_columns
from include.shaping.filtering import mask
from include.shaping.ordering import ordered

Protect = Callable[[pa.RecordBatch], pa.RecordBatch]


class Layout(Protocol):
    """A named list of columns, made of the model's."""

    @property
    def columns(self) -> Sequence[Column]:
        """Return its columns in order; names are headers."""
        ...

    @property
    def default(self) -> Sequence[str]:
        """Return the headers that a file has when no fields are named; empty, all."""
        ...

    @property
    def reads(self) -> frozenset[str]:
        """Return the model's columns that it reads."""
        ...

    def only(self, headers: frozenset[str]) -> Layout:
        """Return the layout with these of its columns."""
        ...

    def apply(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return its columns for rows of the model (which go by name), under their names."""
        ...


class Shape:
    """One content's chain of steps over the columns of its model.

    columns: as they leave, before `protect`; fields: the names by which privacy knows them; wanted: the model's
    columns that any step reads; problems: all that is wrong, which the others leave out.
    """

    def __init__(
        self,
        content: Content,
        model_columns: Sequence[Column],
        *,
        at: datetime,
        zone: str,
        scratch: Path,
        start: datetime | None = None,
        layout: Layout | None = None,
        protect: Protect | None = None,
        where: str = "",
    ) -> None:
        """Take a content and what its run is about.

        at: T; start: where the run's interval begins; both aware. where: the place of the content, put before
        each problem's (`daily.yaml: `, or `daily.yaml: exports[0].`).
        """
        self._content = content
        self._model = tuple(model_columns)
        self._at, self._start, self._zone = at, start, zone
        self._scratch = scratch
        self._protect = protect
        self.problems = tuple(_problems(content, self._model, layout, where))
        self._groups = [x for x in content.aggregation or () if resolve(self._model, x.field)]
        self._given = self._model if layout is None else tuple(layout.columns)
        self._chosen = self._choices(layout)
        self._layout = layout and layout.only(_heads(self._given, (x.field for x in self._chosen)))
        self.fields, self.columns = self._leaving()
        self.wanted = self._wanted()

    def apply(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of the file; BadInput where there are problems. Empty batches are left out."""
        if self.problems:
            raise BadInput(self.problems)
        rows = self._kept(batches)
        content = self._content
        if content.aggregation is not None:
            rows = aggregated(rows, self._model, content.aggregation, self._scratch)
            if content.order is not None:
                by = _order_of_groups(content.order, content.aggregation)
                rows = ordered(rows, self.columns, by, self._scratch)
        elif content.order is not None:
            rows = ordered(rows, self._model, content.order, self._scratch)
        for batch in _first(rows, content.limit):
            made = batch if content.aggregation is not None else self._arranged(batch)
            yield made if self._protect is None else self._protect(made)

    def _kept(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield kept rows with the columns that a later step reads."""
        asked = self._content.filters
        keep = None
        if asked is not None:
            keep = mask(asked, self._model, at=self._at, zone=self._zone, start=self._start)
        later = self._read_later()
        for batch in batches:
            some = batch.select([name for name in batch.schema.names if name in later])
            kept = some if keep is None else some.filter(keep(batch))
            if len(kept):
                yield kept

    def _arranged(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        laid_out = batch if self._layout is None else self._layout.apply(batch)
        arrays = [paths.value(laid_out, self._given, choice.field) for choice in self._chosen]
        return pa.RecordBatch.from_arrays(arrays, names=[column.name for column in self.columns])

    def _choices(self, layout: Layout | None) -> list[FieldChoice]:
        """Return the fields of the file: those that the content names, else all but unprotected personal ones."""
        content = self._content
        if content.fields is not None:
            return [choice for choice in content.fields if resolve(self._given, choice.field)]
        if layout is not None:
            # Who names a layout names its columns.
            return [FieldChoice(field=x) for x in layout.default or (y.name for y in self._given)]
        return [FieldChoice(field=column.name) for column in minimum(self._given, content.privacy)]

    def _leaving(self) -> tuple[tuple[str, ...], tuple[Column, ...]]:
        if self._content.aggregation is not None:
            names = (x.field if x.shows_values else x.title for x in self._groups)
            return tuple(names), aggregated_columns(self._model, self._groups)
        names = (choice.field for choice in self._chosen)
        return tuple(names), tuple(_renamed(self._given, choice) for choice in self._chosen)

    def _wanted(self) -> frozenset[str]:
        asked = self._content.filters
        names = filters.fields_of(asked, self._model) if asked is not None else frozenset()
        return self._read_later() | _heads(self._model, names)

    def _read_later(self) -> frozenset[str]:
        """Return the model's columns that steps after the filter read."""
        content = self._content
        if content.aggregation is not None:
            return _heads(self._model, (chosen.field for chosen in self._groups))
        sorting = _heads(self._model, (name for name, _ in order.keys(content.order or ())))
        if self._layout is not None:
            return sorting | self._layout.reads
        return sorting | _heads(self._model, (choice.field for choice in self._chosen))


def _heads(columns: Sequence[Column], names: Iterable[str]) -> frozenset[str]:
    """Return the columns that fields are, or are properties of."""
    found = (column_of(columns, name) for name in names)
    return frozenset(column.name for column in found if column is not None)


def _problems(
    content: Content, model: Sequence[Column], layout: Layout | None, where: str
) -> Iterator[Problem]:
    if content.filters is not None:
        yield from filters.problems(content.filters, model, where=f"{where}filters")
    given = model if layout is None else layout.columns
    for index, choice in enumerate(content.fields or ()):
        if resolve(given, choice.field) is None:
            yield Problem(f"{where}fields[{index}].field", choice.field, known(given), "unknown_field")
    if content.aggregation is None:
        yield from order.problems(content.order or (), model, where=f"{where}order")
        return
    if layout is not None:
        right = "an aggregation names its own columns: leave out the layout"
        yield Problem(f"{where}aggregation", "", right, "layout_and_aggregation")
    wrong = aggregation.problems(content.aggregation, model, where=f"{where}aggregation")
    yield from wrong
    if not wrong:
        groups = aggregated_columns(model, content.aggregation)
        by = _order_of_groups(content.order or (), content.aggregation)
        yield from order.problems(by, groups, where=f"{where}order")


def _order_of_groups(by: Sequence[str], groups: Sequence[Aggregated]) -> list[str]:
    """Return an order of groups by headers: it may name a header, or a field that is there once."""
    headers = {chosen.title for chosen in groups}
    fields = [chosen.field for chosen in groups]
    titles = {chosen.field: chosen.title for chosen in groups if fields.count(chosen.field) == 1}
    return [
        ("-" if descending else "") + (name if name in headers else titles.get(name, name))
        for name, descending in order.keys(by)
    ]


def _renamed(columns: Sequence[Column], choice: FieldChoice) -> Column:
    column = resolve(columns, choice.field)
    assert column is not None
    return column._replace(name=choice.title)


def _first(batches: Iterator[pa.RecordBatch], limit: int | None) -> Iterator[pa.RecordBatch]:
    """Yield the first rows only; what is not needed is not made."""
    left = limit
    for batch in batches:
        yield batch if left is None else batch.slice(0, left)
        left = None if left is None else left - len(batch)
        if left is not None and left <= 0:
            return
