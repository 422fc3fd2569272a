"""What compiled code asks of memory that numba has no word for: one load or store at any address.

Byte by byte, as numba would, the length of a field and a short text each take several times as long.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

PIECE = 16


def _big_endian(_typing: Any, _address: Any) -> Any:
    """Return the signed big-endian 32-bit integer at an address, as 64 bits."""

    def code(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        place = builder.inttoptr(arguments[0], ir.IntType(32).as_pointer())
        return builder.sext(builder.bswap(builder.load(place, align=1)), ir.IntType(64))

    return types.int64(types.intp), code


def _copy_piece(_typing: Any, _source: Any, _target: Any) -> Any:
    """Copy PIECE bytes from one address to another."""

    def code(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        piece = ir.IntType(8 * PIECE).as_pointer()
        source, target = (builder.inttoptr(each, piece) for each in arguments)
        builder.store(builder.load(source, align=1), target, align=1)
        return context.get_dummy_value()

    return types.none(types.intp, types.intp), code


# The first argument of both is the compiler's, so callers give the addresses only.
big_endian: Any = intrinsic(_big_endian)
copy_piece: Any = intrinsic(_copy_piece)
