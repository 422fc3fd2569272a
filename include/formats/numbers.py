"""Exact decimals as text, by compiled code: integers of a smallest unit, so that no float is ever made."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from include.ledger.compiled import compiled

Bytes = NDArray[np.uint8]


@compiled
def write_number(
    value: int, scale: np.uint64, least: np.uint64, sign: np.uint64, out: Bytes, at: np.uint64
) -> np.uint64:
    """Write a decimal of 10**-scale units at `at`, 24 bytes at most; return where it ends."""
    one, ten = np.uint64(1), np.uint64(10)
    left = np.uint64(value)
    if value < 0:
        left = ~left + one
        out[at] = 45  # minus
        at += one
    decimals = scale
    while decimals > least and left % ten == np.uint64(0):
        left //= ten
        decimals -= one
    whole, rest = left, np.uint64(0)
    if decimals == np.uint64(2):  # points, nearly always
        whole = left // np.uint64(100)
        rest = left - whole * np.uint64(100)
    elif decimals:
        power = ten
        for _ in range(one, decimals):
            power *= ten
        whole = left // power
        rest = left - whole * power
    if whole < np.uint64(100_000_000):
        at = _write_eight(np.uint32(whole), out, at)
    else:
        at = _write_digits(whole, _digits_of(whole), out, at)
    if decimals:
        out[at] = sign
        at = _write_digits(rest, decimals, out, at + one)
    return at


@compiled
def _write_eight(value: np.uint32, out: Bytes, at: np.uint64) -> np.uint64:
    """Write an integer below 10**8, all its digits at once; return where it ends. 8 bytes must be free."""
    # Four digits in each half of a word, then two in each quarter, then one in each byte, the first one lowest.
    high = np.uint64(value // np.uint32(10_000))
    word = high | np.uint64(value - np.uint32(high) * np.uint32(10_000)) << np.uint64(32)
    hundreds = ((word * np.uint64(10_486)) >> np.uint64(20)) & np.uint64(0x7F_0000_007F)
    word = hundreds | (word - np.uint64(100) * hundreds) << np.uint64(16)
    tens = ((word * np.uint64(103)) >> np.uint64(10)) & np.uint64(0x000F_000F_000F_000F)
    word = tens | (word - np.uint64(10) * tens) << np.uint64(8)
    width = np.uint64(1)
    for power in (10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000):
        width += np.uint64(value >= np.uint32(power))
    word = (word | np.uint64(0x3030_3030_3030_3030)) >> (np.uint64(64) - np.uint64(8) * width)
    for byte in range(np.uint64(8)):  # one store, once compiled
        out[at + byte] = np.uint8(word >> (byte << np.uint64(3)))
    return at + width


@compiled
def _digits_of(value: np.uint64) -> np.uint64:
    width, power = np.uint64(1), np.uint64(10)
    while width < np.uint64(20) and value >= power:
        width += np.uint64(1)
        if width < np.uint64(20):
            power *= np.uint64(10)
    return width


@compiled
def _write_digits(value: np.uint64, width: np.uint64, out: Bytes, at: np.uint64) -> np.uint64:
    """Write the last `width` digits; return where they end."""
    for place in range(np.uint64(1), width + np.uint64(1)):
        tens = value // np.uint64(10)
        out[at + width - place] = np.uint8(value - tens * np.uint64(10)) + np.uint8(48)
        value = tens
    return at + width
