"""Trying one target of the form: logged in, rights tried with a probe, nothing sent."""

from __future__ import annotations

import contextvars
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLong
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from include import kinds, targets
from include.definitions.model import Target
from include.definitions.problems import problems_of
from include.errors import Problem
from include.pipeline import Context, places
from include.pipeline.probing import probe_target

SECONDS = 20
AT_ONCE = 3
_pool = ThreadPoolExecutor(AT_ONCE, "target-test")


@dataclass(frozen=True)
class Tried:
    """What came of it. problems: what is missing; none: files can be delivered. meaning: what the kind of target is."""

    label: str
    meaning: str
    problems: tuple[Problem, ...]


def tried(context: Context, document: Mapping[str, Any]) -> Tried:
    """Try a target of a definition's document; the audit chain says who did. It takes 20 seconds at most.

    A target that answers too late goes on being tried in its own thread, of which there are three.
    """
    try:
        target = Target.model_validate(document)
    except ValidationError as error:
        return Tried("", "", tuple(problems_of(error, Target, where="target")))
    if refused := places.problems(context.settings, target, "target"):
        return Tried(target.label, _meaning(target.kind), tuple(refused))
    # Whose name the audit chain takes is known in this context alone.
    trial = _pool.submit(contextvars.copy_context().run, probe_target, context, target)
    try:
        found = trial.result(SECONDS).problems
    except TooLong:
        trial.cancel()
        right = f"did not answer within {SECONDS} seconds: see whether its address is right, and the way to it open"
        found = (Problem(f"target {target.label}", target.kind, right, "too_slow"),)
    return Tried(target.label, _meaning(target.kind), found)


def _meaning(kind: str) -> str:
    if kind not in kinds.names(targets):
        return ""
    document = kinds.load(targets, kind, where="target").__doc__ or ""
    return document.strip().splitlines()[0]
