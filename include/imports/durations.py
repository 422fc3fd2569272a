"""Talon.One's validity durations: `10M`, `30D_U`; counted from activation, in UTC.

An integer and a unit: s, m, h (exact time), D, W, M, Y (calendar). A month that has no such day ends on its last
one: 31 January and 1M is 28 or 29 February. `_D` (days only) goes back to the start of the day that is reached,
`_U` (D, W, M, Y) on to the end of the day, week (Monday to Sunday), month or year. Source: the vendor's
description of importing points, https://docs.talon.one/management-api#tag/Loyalty/operation/importLoyaltyPoints
"""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from include.imports.rows import INSTANT
from include.imports.values import Wrong, empty

_DURATION = r"^[0-9]{1,6}([smh]|D(_[DU])?|[WMY](_U)?)$"
_PARTS = r"^(?P<count>[0-9]+)(?P<unit>[a-zA-Z])(?P<rounding>(?:_[DU])?)$"
_POLARS_UNITS = {"s": "s", "m": "m", "h": "h", "D": "d", "W": "w", "M": "mo", "Y": "y"}
_SECOND, _DAY = 1_000_000, 86_400_000_000
_LONGEST = {
    "s": _SECOND, "m": 60 * _SECOND, "h": 3600 * _SECOND, "D": _DAY, "W": 7 * _DAY, "M": 31 * _DAY, "Y": 366 * _DAY,
}  # fmt: skip
_LAST = 253_402_300_799_999_999 - 366 * _DAY  # so that rounding up stays within the year 9999


def expiries(column: pa.Array, start: pa.Array) -> tuple[pa.Array, list[Wrong]]:
    """Return when points end that begin at `start` and last as long as the texts say; null where empty or wrong."""
    shaped = pc.match_substring_regex(column, _DURATION)
    found = pa.nulls(len(column), INSTANT)
    if pc.any(shaped).as_py():
        texts = pc.if_else(shaped, column, pa.scalar(None, pa.string()))
        parts = pc.extract_regex(texts, _PARTS)
        counts, units, roundings = (pc.struct_field(parts, name) for name in ("count", "unit", "rounding"))
        ends = {
            (unit, rounding): _ends(start, counts, unit, rounding)
            for unit in pc.unique(units.drop_null()).to_pylist()
            for rounding in pc.unique(roundings.filter(pc.equal(units, unit))).to_pylist()
        }
        for (unit, rounding), some in ends.items():
            here = pc.fill_null(pc.and_(pc.equal(units, unit), pc.equal(roundings, rounding)), False)
            found = pc.if_else(here, some, found)
    bad = pc.and_not(pc.is_null(found), empty(column))
    return found, [Wrong(np.flatnonzero(bad.to_numpy(zero_copy_only=False)), _rule)]


def _ends(start: pa.Array, counts: pa.Array, unit: str, rounding: str) -> pa.Array:
    """Return start + counts of the unit, rounded; null where that lies beyond the calendar."""
    import polars as pl  # 21 MiB, which files without dates do not need

    counts = counts.cast(pa.int64())
    room = pc.divide(pc.subtract(_LAST, start.cast(pa.int64())), _LONGEST[unit])
    counts = pc.if_else(pc.less(counts, room), counts, pa.scalar(None, pa.int64()))
    step = _POLARS_UNITS[unit]
    offsets = pl.Series(counts).cast(pl.String) + step
    ends = pl.select(pl.lit(pl.Series(start)).dt.offset_by(pl.lit(offsets))).to_series()
    if rounding:
        ends = ends.dt.truncate(f"1{step}")
    if rounding == "_U":
        ends = ends.dt.offset_by(f"1{step}")
    return ends.to_arrow().cast(INSTANT)


def _rule(text: str) -> tuple[str, str]:
    if re.fullmatch(_DURATION, text):
        return "it ends after the year 9999; write unlimited as the expiry", "duration_too_long"
    if re.fullmatch(r"[0-9]+([smh]|D(_[DU])?|[WMY](_U)?)", text):
        return "the number has at most six digits", "duration_too_long"
    if re.fullmatch(r"[0-9]+[A-Za-z](_[A-Za-z])?", text):
        right = "units are s m h D W M Y; _D rounds days down, _U rounds D, W, M and Y up"
        return right, "duration_unit"
    return "a duration is a number and a unit, such as 30D, 10M or 1Y_U", "not_a_duration"
