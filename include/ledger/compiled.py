"""How the ledger's inner loops are compiled, and the one form in which arrays are handed to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

Function = TypeVar("Function", bound=Callable[..., Any])
Scalar = TypeVar("Scalar", bound=np.generic)


def compiled(function: Function) -> Function:
    """Compiles a function that allocates nothing, inlined into its callers.

    Without numba's reference counting (an option with an underscore, so numba is pinned): counting every
    array of every call by atomic operations took nine tenths of the time of booking.
    """
    options: dict[str, Any] = {"nogil": True, "cache": True, "forceinline": True, "_nrt": False}
    return cast("Function", njit(**options)(function))


def compiled_with_memory(function: Function) -> Function:
    """Compiles a function that may allocate arrays."""
    return cast("Function", njit(nogil=True, cache=True)(function))


def read_only(array: NDArray[Any], dtype: type[Scalar]) -> NDArray[Scalar]:
    """A contiguous read-only view (a copy where need be).

    Compiled code is specialised by type, layout and mutability: with this, one version serves all callers.
    """
    view: NDArray[Scalar] = np.ascontiguousarray(array, dtype).view()
    view.flags.writeable = False
    return view
