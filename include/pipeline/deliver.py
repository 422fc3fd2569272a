"""Deliver: bring a run's files to one target, once, and write down what the target holds."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from include import kinds, targets
from include.connections import resolve
from include.definitions.model import ExportDefinition, Target
from include.definitions.occasion import name_values
from include.definitions.periods import Interval
from include.errors import BadInput, LoyaltyError, NeedsPerson, Permanent, Problem, Uncertain
from include.formats.hashes import file_sha256
from include.pipeline.artefacts import refuse_gone
from include.pipeline.checks import options_of, personal_parts
from include.pipeline.context import Context, Progress, silent
from include.pipeline.links import ParcelLinks
from include.pipeline.newer import keep_the_newer, keep_what_was_made_up_for
from include.pipeline.personal import is_personal
from include.pipeline.scrubbing import scrubbed
from include.scratch import working_folder
from include.state.deliveries import Claim, DeliveryState
from include.state.identity import delivery_key
from include.state.leases import ATTEMPT, Heartbeat, StaleFence
from include.state.runs import RunRecord
from include.targets.protocol import About, Parcel, ParcelFile, Receipt
from include.targets.unchanged import stamp


def deliver(
    context: Context, run_key: str, target_index: int, progress: Progress = silent, *, sending: int = 0
) -> dict[str, Any]:
    """Return the receipt of the target at this place in the definition; the recorded one when it was delivered before.

    sending: the number of a repetition that somebody asked for (see `resend`), 0 for the run's own delivery.
    A run that has nothing to send has no receipt: `{"skipped": why}`. Raises NotYet while another attempt
    delivers, NeedsPerson for a conflict, and what the target raises.
    """
    run = context.state.runs.get(run_key)
    target = targets_of(run)[target_index]
    if run.skipped:
        return {"skipped": run.skipped}
    if run.dry_run or not run.files:
        raise BadInput(
            [Problem("run", run_key, "a run with files, which is not a dry run", "nothing_to_deliver")]
        )
    key = delivery_key(run_key, target.label, sending)
    owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    deliveries = context.state.deliveries
    claim = deliveries.claim(key, owner, ATTEMPT, run_key=run_key, target=target.label, sending=sending)
    if claim.state is DeliveryState.CONFIRMED:
        return claim.receipt or {}
    if not claim.taken:
        raise NeedsPerson(f"{target.label}: {claim.message}")
    with _recorded(context, claim), Heartbeat(lambda: deliveries.renew(claim), ATTEMPT / 3) as beat:
        with packed(context, run, key) as parcel:
            deliveries.ready(claim, **_figures(run.files))
            continued = _continued(context, claim, parcel, sending)

            def begin() -> None:
                deliveries.sending(claim)
                if sending or continued.is_said_absent:
                    return
                if _replaces(target):
                    keep_the_newer(context, run, target.label, key)
                if ExportDefinition.model_validate(run.definition).follows_deliveries:
                    keep_what_was_made_up_for(context, run, target.label, key)

            receipt = send(context, target, continued, progress, begin)
        beat.check()
    written: dict[str, Any] = receipt.model_dump(mode="json")
    deliveries.confirmed(claim, written)
    return written


def _replaces(target: Target) -> bool:
    """Whether files of the same name are replaced there."""
    return bool(target.options.get("replace"))


def _figures(artefacts: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the record says of the files: of one its own figures, of several their sums and their manifest."""
    data, manifest = [each for each in artefacts if "rows" in each], artefacts[-1]
    if len(data) == 1:
        return {name: data[0][name] for name in ("sha256", "rows", "totals")}
    totals = {f"{each['name']}: {name}": total for each in data for name, total in each["totals"].items()}
    return {"sha256": manifest["sha256"], "rows": sum(each["rows"] for each in data), "totals": totals}


def targets_of(run: RunRecord) -> list[Target]:
    """Return the targets of the run's definition."""
    return ExportDefinition.model_validate(run.definition).targets


def send(
    context: Context,
    target: Target,
    parcel: Parcel,
    progress: Progress = silent,
    begin: Callable[[], None] = lambda: None,
) -> Receipt:
    """Bring a parcel to a target. begin: called before the first byte leaves; what it raises ends the delivery."""
    module = kinds.load(targets, target.kind, where=f"target {target.label}")
    options = options_of(module, target.options, f"target {target.label}")
    names = module.connections(options)
    secrets, problems = resolve(context.connections, names, context.settings.keys)
    if problems:
        raise BadInput(problems)
    begin()

    def told(done: int, total: int) -> None:
        progress(f"deliver to {target.label}", done, total)

    try:
        receipt: Receipt = module.deliver(options, parcel, secrets, told)
    except Exception as error:  # noqa: BLE001 - raised again, without secrets
        raise scrubbed(error, secrets.scrub) from None
    return receipt


@contextmanager
def _recorded(context: Context, claim: Claim) -> Iterator[None]:
    """Write down how the attempt failed, unless another attempt has taken over."""
    try:
        yield
    except StaleFence:
        raise
    except Uncertain as error:
        context.state.deliveries.uncertain(claim, str(error))
        raise
    except NeedsPerson as error:
        context.state.deliveries.conflict(claim, str(error))
        raise
    except LoyaltyError as error:
        context.state.deliveries.failed(claim, str(error))
        raise
    except Exception as error:
        context.state.deliveries.failed(claim, f"{type(error).__name__}: {error}")
        raise


def _continued(context: Context, claim: Claim, parcel: Parcel, sending: int) -> Parcel:
    """Return the parcel with what earlier attempts left to know, and a way to write down what this one did."""

    def record(receipt: Receipt) -> None:
        context.state.deliveries.record(claim, receipt.model_dump(mode="json"))

    return replace(
        parcel,
        about=replace(parcel.about, sending=sending),
        in_doubt=claim.may_have_sent,
        accepted=None if claim.receipt is None else Receipt.model_validate(claim.receipt),
        record=record,
    )


@contextmanager
def packed(context: Context, run: RunRecord, key: str) -> Iterator[Parcel]:
    """Bring the artefacts to this machine and check that they are what was rendered. key: of the delivery."""
    refuse_gone(run)
    personal = personal_parts(ExportDefinition.model_validate(run.definition))
    with working_folder(context.settings.scratch, f"deliver-{key[:24]}") as scratch:
        files = []
        for each in run.files:
            path = context.store.path(each["key"]) or context.store.get_to(
                each["key"], scratch / each["name"]
            )
            seen = stamp(path)
            _check(path, each)
            about = each["name"], each["sha256"], each["bytes"], each["media_type"]
            files.append(ParcelFile(path, *about, personal=is_personal(each, personal), stamp=seen))
        yield Parcel(files, key, _about(run), links=ParcelLinks(context, run, key))


def _about(run: RunRecord) -> About:
    """Return what a message may say of the run."""
    definition = ExportDefinition.model_validate(run.definition)
    interval = Interval(run.start, run.end) if run.end else None
    values = name_values(
        definition,
        occurrence=run.occurrence or run.as_of,
        interval=interval,
        as_of=run.as_of,
        revision=run.revision,
    )
    data = [each for each in run.files if "rows" in each]
    return About(
        export_id=definition.id,
        name=definition.name,
        description=definition.description,
        owner=definition.owner,
        period=values["period"],
        as_of=values["as_of"],
        timezone=definition.timezone,
        revision=run.revision,
        rows={each["name"]: each["rows"] for each in data},
        totals={each["name"]: each["totals"] for each in data},
        notes=tuple(dict.fromkeys(note for each in data for note in (*each.get("told", ()), *each["notes"]))),
    )


def _check(path: Path, entry: dict[str, Any]) -> None:
    found = file_sha256(path)
    if found != entry["sha256"]:
        raise Permanent(
            f"{entry['key']}: the stored file has sha256 {found}, and {entry['sha256']} was rendered"
        )
