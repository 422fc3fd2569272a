"""Memory by address in compiled code: one load or store where numba would go byte by byte, and columns of any type.

Whoever makes an address keeps what lies there until the loop has ended. Nothing checks it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic
from numpy.typing import NDArray

Load = Callable[[np.uint64], Any]


def _load(bits: int, of: types.Integer) -> Load:
    """Return compiled code that reads a little-endian integer at an address, aligned or not."""

    def load(typing: object, address: types.Type) -> tuple[Any, Any]:  # noqa: ARG001
        def code(_context: object, builder: Any, _signature: object, arguments: list[Any]) -> Any:
            place = builder.inttoptr(arguments[0], ir.IntType(bits).as_pointer())
            return builder.load(place, align=1)

        return of(types.uint64), code

    return cast("Load", intrinsic(load))


load_byte = _load(8, types.uint8)
load_half = _load(32, types.uint32)
load_code = _load(32, types.int32)
load_word = _load(64, types.uint64)
load_number = _load(64, types.int64)


def _big_endian(typing: object, address: types.Type) -> tuple[Any, Any]:  # noqa: ARG001
    def code(_context: object, builder: Any, _signature: object, arguments: list[Any]) -> Any:
        place = builder.inttoptr(arguments[0], ir.IntType(32).as_pointer())
        return builder.sext(builder.bswap(builder.load(place, align=1)), ir.IntType(64))

    return types.int64(types.intp), code


def _copy_piece(typing: object, source: types.Type, target: types.Type) -> tuple[Any, Any]:  # noqa: ARG001
    def code(context: Any, builder: Any, _signature: object, arguments: list[Any]) -> Any:
        piece = ir.IntType(8 * PIECE).as_pointer()
        source, target = (builder.inttoptr(each, piece) for each in arguments)
        builder.store(builder.load(source, align=1), target, align=1)
        return context.get_dummy_value()

    return types.none(types.intp, types.intp), code


PIECE = 16
# Reads a signed big-endian integer of 32 bits, as 64 bits.
big_endian: Callable[[int], int] = cast("Any", intrinsic(_big_endian))
# Copies PIECE bytes from one address to another.
copy_piece: Callable[[int, int], None] = cast("Any", intrinsic(_copy_piece))


def _prefetch(typing: object, address: types.Type) -> tuple[Any, Any]:  # noqa: ARG001
    def code(_context: object, builder: Any, _signature: object, arguments: list[Any]) -> Any:
        byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
        function = builder.module.globals.get(_PREFETCH) or ir.Function(builder.module, kind, _PREFETCH)
        reading, all_caches, of_data = (ir.Constant(word, number) for number in (0, 3, 1))
        builder.call(function, [builder.inttoptr(arguments[0], byte), reading, all_caches, of_data])
        return ir.Constant(ir.IntType(8), 0)

    return types.uint8(types.uint64), code


_PREFETCH = "llvm.prefetch.p0"
# Asks for a line of memory that is read soon; any address may be asked for.
prefetch = cast("Load", intrinsic(_prefetch))


def address(array: NDArray[Any]) -> int:
    """Return where the first value of a contiguous array lies; 0 of an empty one."""
    place: int = array.__array_interface__["data"][0]
    return place if len(array) else 0
