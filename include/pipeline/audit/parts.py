"""Verifying the audit chain in parts that each take a few seconds, so that somebody can watch; nothing is kept between.

`walk` goes on after any entry: it trusts that one's hash, which the part before has verified. `hold` then holds the
chain against its anchors. Together they find what `audit.verify` finds.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from include.errors import Problem
from include.pipeline.audit.anchors import Anchored, Walk, read_anchors
from include.pipeline.context import Context
from include.state.audit import Action, Head

PART_SECONDS = 2.0
_MOST_ANCHORS = 100_000


@dataclass(frozen=True)
class Walked:
    """How far a walk came: the entries up to `reached` of `total` are whole and in order, unless `problem` says not."""

    reached: int
    total: int
    problem: Problem | None

    @property
    def over(self) -> bool:
        """Whether there is nothing more to walk."""
        return self.problem is not None or self.reached >= self.total


def walk(context: Context, after: int = 0, seconds: float = PART_SECONDS) -> Walked:
    """Check the entries that follow `after` for so long."""
    newest = context.state.audit.head()
    total = newest.sequence if newest else 0
    before = context.state.audit.get(after) if after else None
    if after and before is None:
        problem = Problem("audit entry", str(after), "is missing: it was there a moment ago", "audit_gap")
        return Walked(after, total, problem)
    seen = Walk([], Head(before.sequence, before.sha256, before.at) if before else None)
    began, reached = time.monotonic(), after
    for entry in context.state.audit.entries(after=after):
        seen.step(entry)
        if problems := seen.end():
            return Walked(reached, total, problems[0])
        reached = entry.sequence
        if time.monotonic() - began >= seconds:
            break
    return Walked(reached, max(total, reached), None)


def hold(context: Context) -> Anchored:
    """Hold the chain against every anchor that can be read, and against the deliveries."""
    found = read_anchors(context)
    problems = list(found.problems)
    for each in found.known:
        entry = context.state.audit.get(each.sequence)
        if entry is None:
            right = f"is gone: {each.where} knows it"
            problems.append(Problem("audit entry", str(each.sequence), right, "audit_truncated"))
        elif entry.sha256 != each.sha256:
            right = f"was rewritten, or one before it: {each.where} says that its hash is {each.sha256}"
            problems.append(Problem("audit entry", str(each.sequence), right, "audit_rewritten"))
    told = context.state.audit.newest(action=Action.ANCHORED, limit=_MOST_ANCHORS)
    problems += found.gone([each.subject for each in told])
    problems += [
        Problem("delivery", key, "is confirmed, and the chain says nothing of it", "untold")
        for key in context.state.audit.untold()
    ]
    return Anchored(found.known, tuple(problems), found.read, found.unread)
