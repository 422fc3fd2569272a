"""Errors of ours on their way through Spark, which keeps of an exception nothing but its text."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import wraps

import pyarrow as pa

from include.errors import BadInput, LedgerViolation, LoyaltyError, Permanent, Problem, Transient

Batches = Iterator[pa.RecordBatch]
_SAID = re.compile(r"\[loyalty error ([A-Za-z0-9+/=]+)\]")
_KINDS: tuple[type[LoyaltyError], ...] = (LedgerViolation, Transient, Permanent)


class TaskFailed(Exception):
    """An error of ours in a task; its text says it to people, and holds it whole for `raised`."""

    def __init__(self, error: LoyaltyError) -> None:
        kind = next((each.__name__ for each in _KINDS if isinstance(error, each)), Permanent.__name__)
        problems = [asdict(each) for each in error.problems] if isinstance(error, BadInput) else []
        whole = json.dumps({"kind": kind, "text": str(error), "problems": problems})
        super().__init__(f"{error} [loyalty error {base64.b64encode(whole.encode()).decode()}]")


def told(task: Callable[[Batches], Batches]) -> Callable[[Batches], Batches]:
    """Return the task; its errors of ours are raised as TaskFailed."""

    @wraps(task)
    def wrapped(batches: Batches) -> Batches:
        try:
            yield from task(batches)
        except LoyaltyError as error:
            raise TaskFailed(error) from error

    return wrapped


@contextmanager
def raised() -> Iterator[None]:
    """Raise what a task failed with as the error that it was: BadInput, LedgerViolation, Transient or Permanent."""
    try:
        yield
    except Exception as error:
        said = _SAID.search(str(error))
        if said is None:
            raise
        raise _error(json.loads(base64.b64decode(said[1]))) from error


def _error(said: dict[str, object]) -> LoyaltyError:
    problems = said["problems"]
    if isinstance(problems, list) and problems:
        return BadInput([Problem(**each) for each in problems])
    kind = next(each for each in _KINDS if each.__name__ == said["kind"])
    return kind(said["text"])
