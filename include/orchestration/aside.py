"""What a person may ask of an export's DAG instead of a run: files sent once more, sent as a test, or targets tried.

The DAG's tasks are the same. `pin` says in each target what is to be done there; nothing is made that a finished run
has already, and no run is settled.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from include.acting import acting
from include.definitions.addresses import is_address
from include.errors import BadInput

if TYPE_CHECKING:
    from include.definitions.model import ExportDefinition
    from include.orchestration.parameters import Asked
    from include.pipeline import Context
    from include.pipeline.context import Progress
    from include.state.runs import RunRecord

DO, RESEND, TEST, PROBE = "do", "resend", "test send", "test target"
TESTS = "tests"


def makes_nothing(params: Mapping[str, Any]) -> bool:
    """Whether all that is asked for exists already, so that no snapshot is read and no file made."""
    return bool(params.get("resend") or params.get("test_targets"))


def targets_to_try(definition: ExportDefinition, wish: Asked) -> list[dict[str, Any]]:
    """Return the targets to try."""
    labels = [target.label for target in definition.targets]
    return [{"position": labels.index(label), "name": label, DO: PROBE} for label in wish.targets or labels]


def resent(
    context: Context, definition: ExportDefinition, wish: Asked, who: str | None
) -> tuple[RunRecord, list[dict[str, Any]]]:
    """Return the finished run that was asked for, and to what its files go."""
    from include.pipeline import resend

    assert wish.resend is not None
    run = resend.find_run(context, definition.id, wish.resend, as_test=wish.test_to is not None)
    if wish.test_to is not None:
        return run, [as_test(wish.test_to)]
    with acting(who):
        sendings = resend.plan(context, run, wish.targets, again=wish.again)
    return run, [
        {"position": each.position, "name": each.label, DO: RESEND, "sending": each.number}
        for each in sendings
    ]


def as_test(to: str) -> dict[str, Any]:
    """Return the one target of a test send: an address, or a folder among those for tests."""
    place = to if is_address(to) else f"{TESTS}/{to}"
    return {"position": 0, "name": f"test to {place}", DO: TEST, "to": place}


def done(
    context: Context,
    definition: ExportDefinition,
    run_key: str,
    target: Mapping[str, Any],
    progress: Progress,
    who: str | None,
) -> dict[str, Any]:
    """Do at one target what was asked; return the receipt, or that it can deliver. BadInput with all that it lacks."""
    from include import pipeline
    from include.pipeline import probing, trial

    with acting(who):
        if target[DO] == RESEND:
            position, number = int(target["position"]), int(target["sending"])
            return pipeline.deliver(context, run_key, position, progress, sending=number)
        if target[DO] == TEST:
            run, to = context.state.runs.get(run_key), str(target["to"])
            trial.require_allowed(context, run, to, who)
            return trial.send_test(context, run, to, progress)
        (tried,) = probing.probe(context, definition, [str(target["name"])])
    if tried.problems:
        raise BadInput(tried.problems)
    return {"target": tried.target, "kind": tried.kind, "can_deliver": True}


def settled(context: Context, run_key: str, chosen: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what was asked and of which run; a run whose last missing target has its files now is done."""
    from include.pipeline.resolving import follow

    asked = [str(target["name"]) for target in chosen]
    if any(target[DO] == RESEND for target in chosen):
        follow(context, run_key, asked)
    return {"run_key": run_key or None, "done": [f"{target[DO]}: {target['name']}" for target in chosen]}
