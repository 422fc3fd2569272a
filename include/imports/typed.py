"""Rows of texts as rows of values, by what the mode reads; every problem of every row is found."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from include.imports import durations, values
from include.imports.header import Header
from include.imports.modes.mode import ModeFile, Sign
from include.imports.repeats import Repeats
from include.imports.rows import INSTANT, ROWS, Batch, Raw, RowProblem
from include.imports.values import Wrong, said

_MEMBERS = ("customer_id", "card_id", "email")
_EXACT_TEXTS = frozenset(
    {"points", "expected_points", "birthday"}
)  # an export puts no apostrophe before these


class Typed:
    """What makes values of the texts of one file, batch after batch."""

    def __init__(self, header: Header, mode: ModeFile, now: datetime, *, keep_repeats: bool) -> None:
        self._header, self._mode = header, mode
        self._now = pa.scalar(now.astimezone(UTC), INSTANT)
        self._repeats = None if keep_repeats else Repeats()

    def batch(self, raw: Raw) -> Batch:
        """Return the rows with their values, without rows that are blank."""
        raw, misfits = _without_blank(raw)
        texts = {
            field: values.trimmed(raw.columns[place], text=field not in _EXACT_TEXTS)
            for field, place in self._header.columns.items()
        }
        work = _Work(raw.rows, self._header, misfits)
        work.form(raw)
        columns = self._members(texts, work)
        columns |= self._values(texts, work)
        if self._repeats is not None:
            work.repeated(self._repeats.firsts(raw.rows, list(texts.values())))
        return work.batch(columns)

    def forget(self) -> None:
        """Give back the memory of the look for rows that stand twice, after the last batch."""
        self._repeats = None

    def _members(self, texts: dict[str, pa.Array], work: _Work) -> dict[str, pa.Array]:
        """Return who each row is about: where an export says which kind the holder is, that decides."""
        found = {field: texts[field] for field in _MEMBERS if field in texts}
        if "holder_id" in texts:
            held = texts["holder_id"]
            is_card = (
                pc.equal(texts["holder_kind"], "card")
                if "holder_kind" in texts
                else pa.array([False] * len(held))
            )
            nothing = pa.scalar("", pa.string())
            found["card_id"] = pc.if_else(is_card, held, found.get("card_id", nothing))
            found["customer_id"] = pc.if_else(is_card, nothing, held)
            work.check("holder_id", held, values.ids(held))
        for field in ("customer_id", "card_id"):
            if field in texts and "holder_id" not in texts:
                work.check(field, texts[field], values.ids(texts[field]))
        named = pa.array(np.zeros(len(work.rows), np.bool_))
        for field in ("customer_id", "card_id"):
            if field in found:
                named = pc.or_(named, pc.invert(values.empty(found[field])))
        if "email" in found:
            by_mail = pc.if_else(named, pa.scalar("", pa.string()), found["email"])
            work.check("email", found["email"], values.emails(by_mail))
            named = pc.or_(named, pc.invert(values.empty(found["email"])))
        nobody = Wrong(
            np.flatnonzero(~named.to_numpy(zero_copy_only=False)),
            said("the row names no member", "no_member"),
        )
        work.check(
            next(
                field for field in self._mode.fields if field in texts and field in {*_MEMBERS, "holder_id"}
            ),
            None,
            [nobody],
        )
        return {field: values.given(column) for field, column in found.items()}

    def _values(self, texts: dict[str, pa.Array], work: _Work) -> dict[str, pa.Array]:
        columns: dict[str, pa.Array] = {}
        for field in ("program", "subledger_id"):
            if field in texts:
                work.check(field, texts[field], values.ids(texts[field]))
                columns[field] = values.given(texts[field])
        if "reason" in texts:
            work.check("reason", texts["reason"], values.reasons(texts["reason"]))
            columns["reason"] = values.given(texts["reason"])
        if "points" in texts:
            columns["points"], wrong = values.points(texts["points"], self._mode.sign, required=True)
            work.check("points", texts["points"], wrong)
        if "expected_points" in texts:
            expected = texts["expected_points"]
            columns["expected_points"], wrong = values.points(expected, Sign.ANY, required=False)
            work.check("expected_points", expected, wrong)
        if "birthday" in texts:
            columns["birthday"], wrong = values.birthdays(texts["birthday"])
            work.check("birthday", texts["birthday"], wrong)
        return columns | self._dates(texts, work)

    def _dates(self, texts: dict[str, pa.Array], work: _Work) -> dict[str, pa.Array]:
        columns: dict[str, pa.Array] = {}
        begin = pa.repeat(self._now, len(work.rows))
        if "activates_at" in texts:
            columns["activates_at"], wrong = values.instants(texts["activates_at"], "immediate")
            work.check("activates_at", texts["activates_at"], wrong)
            later = pc.fill_null(pc.greater(columns["activates_at"], self._now), False)
            begin = pc.if_else(later, columns["activates_at"], self._now)
        if "expires_at" in texts:
            columns["expires_at"], wrong = values.instants(texts["expires_at"], "unlimited")
            work.check("expires_at", texts["expires_at"], wrong)
        if "validity" in texts:
            from_start = pc.fill_null(columns.get("activates_at", begin), self._now)
            ends, wrong = durations.expiries(texts["validity"], from_start)
            work.check("validity", texts["validity"], wrong)
            columns["expires_at"] = self._one_end(ends, columns.get("expires_at"), texts, work)
        if "expires_at" in columns:
            over = pc.fill_null(pc.less_equal(columns["expires_at"], begin), False)
            over_rule = said(
                "the points would expire before they begin, or have expired by now", "expired_already"
            )
            for field in ("validity", "expires_at"):
                if field in texts:
                    here = pc.and_not(over, values.empty(texts[field]))
                    wrong = [Wrong(np.flatnonzero(here.to_numpy(zero_copy_only=False)), over_rule)]
                    work.check(field, texts[field], wrong)
        return columns

    def _one_end(
        self, ends: pa.Array, stated: pa.Array | None, texts: dict[str, pa.Array], work: _Work
    ) -> pa.Array:
        if stated is None:
            return ends
        both = pc.and_(
            pc.invert(values.empty(texts["validity"])), pc.invert(values.empty(texts["expires_at"]))
        )
        rule = said("a row has an expiry or a duration, not both", "two_expiries")
        work.check(
            "validity", texts["validity"], [Wrong(np.flatnonzero(both.to_numpy(zero_copy_only=False)), rule)]
        )
        return pc.coalesce(ends, stated)


class _Work:
    """The problems of one batch, as they are found."""

    def __init__(self, rows: NDArray[np.int64], header: Header, misfits: Sequence[int]) -> None:
        self.rows, self._header = rows, header
        self._problems: list[RowProblem] = []
        self._wrong = np.zeros(len(rows), np.bool_)
        self._said = np.zeros(len(rows), np.bool_)  # the form is wrong: what values say of it would mislead
        self._said[misfits] = True

    def form(self, raw: Raw) -> None:
        """Take over what is wrong with the form of rows, and of cells that the mode reads or that are damaged."""
        read = set(self._header.columns.values())
        for one in raw.problems:
            if one.column is None or one.column in read or one.code in {"not_utf8", "nul_byte"}:
                name = "" if one.column is None else self._header.names[one.column]
                self._problems.append(RowProblem(one.row, name, one.value, one.right, one.code))
                place = np.searchsorted(self.rows, one.row)
                self._wrong[place] = self._said[place] = True

    def check(self, field: str, column: pa.Array | None, wrong: Sequence[Wrong]) -> None:
        """Note what is wrong with cells of a field; `column` has their texts, None for none."""
        name = self._header.names[self._header.columns[field]]
        for one in wrong:
            places = one.places[~self._said[one.places]]
            if not len(places):
                continue
            found = [""] * len(places) if column is None else column.take(pa.array(places)).to_pylist()
            self._wrong[places] = True
            for row, text in zip(self.rows[places].tolist(), found, strict=True):
                self._problems.append(RowProblem(row, name, text, *one.rule(text)))

    def repeated(self, firsts: NDArray[np.int64]) -> None:
        """Note rows that stand twice; `firsts` has the number of the row that each repeats, or 0."""
        twice = (firsts > 0) & ~self._said
        self._wrong |= twice
        for row, first in zip(self.rows[twice].tolist(), firsts[twice].tolist(), strict=True):
            right = f"the same as row {first}; remove one of them, or give each its own reason"
            self._problems.append(RowProblem(row, "", "", right, "same_row_twice"))

    def batch(self, columns: dict[str, pa.Array]) -> Batch:
        """Return the rows and their problems in the order of rows."""
        columns |= {"row": pa.array(self.rows), "ok": pa.array(~self._wrong)}
        arrays = [columns.get(one.name, pa.nulls(len(self.rows), one.type)) for one in ROWS]
        made = [array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array for array in arrays]
        return Batch(
            pa.RecordBatch.from_arrays(made, schema=ROWS),
            sorted(self._problems, key=lambda one: one.row),
        )


def _without_blank(raw: Raw) -> tuple[Raw, list[int]]:
    """Return the rows that are not blank, and the places of those whose form is wrong as a whole."""
    misfits = {one.row for one in raw.problems if one.column is None}
    lengths = np.zeros(len(raw.rows), np.int64)
    for column in raw.columns:
        lengths += pc.binary_length(pc.utf8_trim(column, " \t")).to_numpy(zero_copy_only=False)
    blank = (lengths == 0) & ~np.isin(raw.rows, np.fromiter(misfits, np.int64, len(misfits)))
    if blank.any():
        kept = pa.array(~blank)
        raw = Raw(raw.rows[~blank], [column.filter(kept) for column in raw.columns], raw.problems)
    return raw, [int(place) for place in np.searchsorted(raw.rows, sorted(misfits))]
