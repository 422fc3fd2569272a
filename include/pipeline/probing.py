"""Trying a definition's targets without sending anything: log in, check rights by a probe, say what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from include import kinds, targets
from include.acting import actor
from include.connections import resolve
from include.definitions.model import ExportDefinition, Target
from include.errors import BadInput, LoyaltyError, Problem
from include.pipeline.checks import options_of
from include.pipeline.context import Context
from include.pipeline.scrubbing import scrubbed
from include.state.audit import Action


@dataclass(frozen=True)
class Probed:
    """What came out for one target; without problems, files can be delivered there."""

    target: str
    kind: str
    problems: tuple[Problem, ...]


def probe(
    context: Context, definition: ExportDefinition, labels: Sequence[str] | None = None
) -> list[Probed]:
    """Try these targets of a definition, None for all; a problem of one does not stop the others.

    Raises BadInput for labels that the definition does not have.
    """
    known = {target.label: target for target in definition.targets}
    right = f"targets of {definition.id} are {', '.join(known)}"
    if unknown := [label for label in labels or () if label not in known]:
        raise BadInput([Problem("target", label, right, "unknown_target") for label in unknown])
    return [probe_target(context, known[label]) for label in dict.fromkeys(labels or known)]


def probe_target(context: Context, target: Target) -> Probed:
    """Try one target; the audit chain says who did, and what came out."""
    try:
        problems = _problems(context, target)
    except BadInput as error:
        problems = list(error.problems)
    except LoyaltyError as error:
        problems = [Problem(f"target {target.label}", target.kind, str(error), "target_unusable")]
    told = {"kind": target.kind, "problems": [each.code for each in problems]}
    context.state.audit.write(actor(), Action.TARGET_TESTED, target.label, told)
    return Probed(target.label, target.kind, tuple(problems))


def _problems(context: Context, target: Target) -> list[Problem]:
    where = f"target {target.label}"
    module = kinds.load(targets, target.kind, where=where)
    options = options_of(module, target.options, where)
    secrets, missing = resolve(context.connections, module.connections(options), context.settings.keys)
    if missing:
        return missing
    try:
        found: list[Problem] = module.test(options, secrets)
    except LoyaltyError as error:
        raise scrubbed(error, secrets.scrub) from None
    clean = secrets.scrub
    return [Problem(each.where, clean(each.value), clean(each.right), each.code) for each in found]
