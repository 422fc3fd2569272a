"""Errors without secrets in them: what a library says may quote the password that it was given."""

from __future__ import annotations

from collections.abc import Callable

from include.errors import BadInput, LoyaltyError, NotYet, Problem


def scrubbed(error: BaseException, scrub: Callable[[str], str]) -> BaseException:
    """Return the error, or a text of its kind when what it says holds a secret."""
    if isinstance(error, BadInput):
        return BadInput([
            Problem(each.where, scrub(each.value), scrub(each.right), each.code) for each in error.problems
        ])  # fmt: skip
    said = [str(error), repr(error.__dict__), *map(repr, error.args), *getattr(error, "__notes__", [])]
    if all(scrub(text) == text for text in said):
        return error
    hidden = scrub(str(error))
    if isinstance(error, NotYet):
        return NotYet(hidden, error.until)
    return type(error)(hidden) if isinstance(error, LoyaltyError) else RuntimeError(hidden)
