"""The janitor of targets: temporary objects, marks and uploads that attempts left which died long ago."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from include import kinds, targets
from include.connections import resolve
from include.definitions.model import Target
from include.errors import BadInput, LoyaltyError
from include.pipeline import exports
from include.pipeline.checks import options_of
from include.pipeline.context import Context
from include.pipeline.scrubbing import scrubbed
from include.state.deliveries import Delivery, DeliveryState
from include.targets.protocol import KEY_CHARACTERS, Kept

# No upload takes so long: its writer is dead.
DEAD = timedelta(days=1)
# What was left by a delivery of earlier than this was found by a janitor of before.
LOOKED_BACK = timedelta(days=35)
_OPEN = tuple(state for state in DeliveryState if state is not DeliveryState.CONFIRMED)
_MANY = 100_000


def clean_targets(context: Context, older_than: timedelta = DEAD) -> dict[str, Any]:
    """Remove what attempts left that died so long ago, at every target of the definitions and of recent deliveries.

    Returns `removed`, the names by target, and `failed`, why a target could not be looked at, by target. One target
    that fails does not stop the others. What an attempt at work needs stays, and so does the mark of a file that its
    receiver may have.
    """
    live = context.state.deliveries.live()
    keys = [each.key[:KEY_CHARACTERS] for each in context.state.deliveries.list(states=_OPEN, limit=_MANY)]
    kept = Kept(frozenset(each.key[:KEY_CHARACTERS] for each in live), frozenset(keys))
    age = max([older_than, *(_age(each) for each in live)])
    removed: dict[str, list[str]] = {}
    failed: dict[str, str] = {}
    for place, target in _all_targets(context).items():
        try:
            if names := _clean(context, target, age, kept):
                removed[place] = names
        except LoyaltyError as error:
            failed[place] = str(error)
    return {"removed": removed, "failed": failed}


def _all_targets(context: Context) -> dict[str, Target]:
    """Return every target that leaves parts, once, however many exports deliver there; by export and label."""
    found: dict[str, tuple[str, Target]] = {}
    for definition_id, target in (*_defined(context), *_delivered(context)):
        same = json.dumps([target.kind, target.options], sort_keys=True)
        found.setdefault(same, (f"{definition_id}: {target.label}", target))
    return dict(found.values())


def _defined(context: Context) -> Iterator[tuple[str, Target]]:
    for definition in exports.known(context).values():
        for target in definition.targets:
            yield definition.id, target


def _delivered(context: Context) -> Iterator[tuple[str, Target]]:
    """Yield the targets of recent deliveries as they were then: their definitions may be others now, or gone."""
    for run_key, label in context.state.deliveries.destinations(datetime.now(UTC) - LOOKED_BACK):
        run = context.state.runs.get(run_key)
        # Of the definition as a whole today's model may want more than that of then did.
        for target in map(Target.model_validate, run.definition.get("targets", ())):
            if target.label == label:
                yield run.definition_id, target


def _clean(context: Context, target: Target, older_than: timedelta, kept: Kept) -> list[str]:
    module = kinds.load(targets, target.kind, where=f"target {target.label}")
    if not module.CAPABILITIES.leaves_parts:
        return []
    options = options_of(module, target.options, f"target {target.label}")
    secrets, problems = resolve(context.connections, module.connections(options), context.settings.keys)
    if problems:
        raise BadInput(problems)
    try:
        names: list[str] = module.clean(options, secrets, older_than, kept)
    except LoyaltyError as error:
        raise scrubbed(error, secrets.scrub) from None
    return names


def _age(delivery: Delivery) -> timedelta:
    """Return how long ago a delivery began; parts of an upload say when it began, and not when it grew."""
    return datetime.now(UTC) - delivery.created_at
