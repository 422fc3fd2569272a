"""Deliveries that wait for a person: what to do about them in words, their word written down, and trying again."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from include.acting import actor
from include.errors import BadInput, Problem
from include.pipeline.artefacts import SHOWN_CHARACTERS
from include.pipeline.context import Context, Progress, silent
from include.pipeline.deliver import deliver, targets_of
from include.pipeline.settle import settle
from include.state.deliveries import Delivery, DeliveryState
from include.state.runs import RunRecord, RunStatus
from include.targets.protocol import Answer, Receipt, Word

NOTE_CHARACTERS = 500
_DOUBTFUL = (Answer.SENDING, Answer.UNKNOWN)


def find(context: Context, key: str) -> Delivery:
    """Return the delivery whose key begins so; BadInput when there is none, or more than one."""
    found = context.state.deliveries.list(key=key, limit=2) if key else []
    if len(found) != 1:
        right = "more than one delivery begins so: give more of the key" if found else "no delivery begins so"
        raise BadInput([Problem("delivery", key, right, "unknown_delivery")])
    return found[0]


def next_step(delivery: Delivery) -> str | None:
    """Return what somebody should do now, with the commands; None where nothing is to be done."""
    key = delivery.key[:SHOWN_CHARACTERS]
    retry = f"loyalty deliveries retry {key}"
    arrived = f'loyalty deliveries resolve {key} --arrived --note "who said so"'
    absent = f"loyalty deliveries resolve {key} --not-arrived"
    if delivery.state is DeliveryState.CONFIRMED:
        return None
    if delivery.is_live:
        return f"Nothing: {delivery.owner} is at work on it. Look again after {_text(delivery.expires_at)}."
    if delivery.state is DeliveryState.CONFLICT:
        return (
            "Something else has the name of a file of this delivery. Look at it there. When it is out of the way: "
            f"{retry}\nIf the receiver has the right file all the same: {arrived}"
        )
    if delivery.state is DeliveryState.UNCERTAIN:
        return (
            f"Nobody can tell whether it arrived. Ask the receiver. If they have it: {arrived}\n"
            f"If they do not: {absent}\nand then send it: {retry}"
        )
    if delivery.state is DeliveryState.FAILED:
        return f"Put right what the message says, then: {retry}"
    return (
        f"Its process ended without a word. To continue: {retry}\nIf the receiver has it already: {arrived}"
    )


def resolve(context: Context, seen: Delivery, *, arrived: bool, note: str = "") -> Delivery:
    """Write down a person's word on a delivery as they saw it (see `Deliveries.resolve`); the run's record follows.

    Who says so is who acts. Raises BadInput for a note that is too long, and when the delivery is not free.
    """
    if len(note) > NOTE_CHARACTERS or not note.isprintable():
        right = f"one line of at most {NOTE_CHARACTERS} printable characters"
        raise BadInput([Problem("note", note, right, "bad_note")])
    run = context.state.runs.get(seen.run_key)
    word = Word(arrived=arrived, by=actor(), at=datetime.now(UTC), note=note)
    receipt = _receipt(run, seen, word).model_dump(mode="json")
    done = context.state.deliveries.resolve(seen, arrived=arrived, receipt=receipt, by=word.by, note=note)
    follow(context, seen.run_key)
    return done


def retry(context: Context, seen: Delivery, progress: Progress = silent) -> dict[str, Any]:
    """Try a delivery again that is not confirmed; return its receipt. The run's record follows."""
    position = position_of(context.state.runs.get(seen.run_key), seen.target)
    context.state.deliveries.reopen(seen.key, by=actor())
    try:
        return deliver(context, seen.run_key, position, progress, sending=seen.sending)
    finally:
        follow(context, seen.run_key)


def follow(context: Context, run_key: str, tried: Collection[str] = ()) -> None:
    """Settle a run as done whose last missing target has its files now; any other stays as it is.

    tried: labels of targets that it was not settled for, and has been sent to since.
    """
    run = context.state.runs.get(run_key)
    settled = set((run.summary or {}).get("deliveries", {}))
    asked = settled | set(tried)
    if not asked or (run.status is RunStatus.DONE and asked == settled):
        return
    confirmed = context.state.deliveries.list(run_key=run_key, states=[DeliveryState.CONFIRMED])
    if asked <= {each.target for each in confirmed if each.sending == 0}:
        labels = [target.label for target in targets_of(run)]
        settle(context, run_key, [index for index, label in enumerate(labels) if label in asked])


def position_of(run: RunRecord, label: str) -> int:
    """Return the place of a target among those of the run; BadInput when it has none of that name."""
    labels = [target.label for target in targets_of(run)]
    if label not in labels:
        right = f"targets of run {run.run_key[:SHOWN_CHARACTERS]} are {', '.join(labels)}"
        raise BadInput([Problem("target", label, right, "unknown_target")])
    return labels.index(label)


def _receipt(run: RunRecord, seen: Delivery, word: Word) -> Receipt:
    """Return what is known to be there, with the word; what nobody could tell of is what the word is about."""
    if seen.receipt is None:
        kind = targets_of(run)[position_of(run, seen.target)].kind
        return Receipt(target=kind, key=seen.key, files=(), word=word)
    before = Receipt.model_validate(seen.receipt)
    known = tuple(each for each in before.recipients if word.arrived or each.answer not in _DOUBTFUL)
    return before.model_copy(update={"recipients": known, "word": word})


def _text(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
