"""Which rows are asked for of PostgreSQL: texts are bound to a setting of the transaction, which COPY reads."""

from __future__ import annotations

from include.snapshots.reading import Origin, Which

SETTING = "loyalty.wanted"
_BOUND = f"jsonb_array_elements_text(current_setting('{SETTING}')::jsonb) AS bound (value)"
_INTEGER = ("bigint", "^-?(0|[1-9][0-9]{0,17})$")
# What an id that is no text is compared as, and which texts are one.
_NATIVE = {
    "int2": _INTEGER,
    "int4": _INTEGER,
    "int8": _INTEGER,
    "uuid": ("uuid", "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"),
}


def condition(origin: Origin, kind: str, which: Which) -> str:
    """Return the SQL condition of the rows that are asked for; `kind` is the type of the column that tells them."""
    of = origin.expressions[which.column]
    if which.fit == "is" and kind in _NATIVE:  # as texts no index would know them
        cast, pattern = _NATIVE[kind]
        some = f"SELECT value::{cast} FROM {_BOUND} WHERE value ~ '{pattern}'"
        return f'"{which.column}" = ANY (ARRAY({some}))'
    if which.fit == "begins":
        ends = [f"(current_setting('{SETTING}')::jsonb ->> {number})" for number in range(2)]
        collation = ' COLLATE "C"' if origin.mapped else ""
        return f"{of}{collation} BETWEEN {ends[0]} AND {ends[1]}"
    some = f"ARRAY(SELECT value FROM {_BOUND})"
    if which.fit == "contains":
        return f"strpos(lower({of}), ({some})[1]) > 0"
    return f"lower({of}) = ANY ({some})" if which.fit == "folded" else f"{of} = ANY ({some})"
