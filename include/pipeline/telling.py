"""A delivery in words: how it stands, what happened to it, and what somebody should do now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from include.state.audit import Action, Entry
from include.state.deliveries import Delivery, DeliveryState

_MEANINGS = {
    DeliveryState.CONFIRMED: "arrived",
    DeliveryState.UNCERTAIN: "nobody can tell whether it arrived; it waits for a person",
    DeliveryState.CONFLICT: "its name is taken; it waits for a person",
    DeliveryState.FAILED: "did not arrive",
}
_HAPPENED: Mapping[str, str] = {
    Action.DELIVERED: "the target has it",
    Action.DELIVERY_UNCERTAIN: "sent, and nobody can tell whether it arrived",
    Action.DELIVERY_FAILED: "failed",
    Action.DELIVERY_CONFLICT: "its name is taken there",
    Action.DELIVERY_REOPENED: "opened again",
    Action.RESOLVED: "resolved",
}
_BY_PERSON = (Action.RESOLVED, Action.DELIVERY_REOPENED)


class ToDo(NamedTuple):
    """What somebody should do about a delivery, and what a page may offer for it."""

    sentence: str
    retry: bool
    resolve: bool


def meaning(delivery: Delivery) -> str:
    """Return how a delivery stands: `arrived`, `did not arrive`, `on its way`."""
    if (found := _MEANINGS.get(delivery.state)) is not None:
        return found
    return "on its way" if delivery.is_live else "its process ended on the way"


def happened(entry: Entry) -> str | None:
    """Return what an entry of the audit chain says of its delivery, None for one that is about something else."""
    told = _HAPPENED.get(entry.action)
    if told is None:
        return None
    if entry.action == Action.RESOLVED:
        told = "said to have arrived" if entry.detail.get("arrived") else "said not to have arrived"
        told += f": {entry.detail['note']}" if entry.detail.get("note") else ""
    attempts = f" (attempt {entry.detail['attempts']})" if entry.action not in _BY_PERSON else ""
    return f"{told}{attempts}, by {entry.actor}"


def to_do(delivery: Delivery) -> ToDo | None:
    """Return what somebody should do now, None where nothing is to be done (see `resolving.next_step`)."""
    if delivery.state is DeliveryState.CONFIRMED:
        return None
    if delivery.is_live:
        return ToDo("Nothing: it is being delivered right now.", retry=False, resolve=False)
    if delivery.state is DeliveryState.CONFLICT:
        return ToDo(
            "Something else has the name of a file of this delivery. Look at it there. When it is out of the way, "
            "try again. If the receiver has the right file all the same, say that it arrived.",
            retry=True,
            resolve=True,
        )
    if delivery.state is DeliveryState.UNCERTAIN:
        return ToDo(
            "Nobody can tell whether it arrived. Ask the receiver. If they have it, say that it arrived. If they do "
            "not, say that it did not arrive, and try again.",
            retry=True,
            resolve=True,
        )
    if delivery.state is DeliveryState.FAILED:
        return ToDo("Put right what the message says, then try again.", retry=True, resolve=False)
    return ToDo(
        "Its process ended without a word. Try again to continue; if the receiver has it already, say so.",
        retry=True,
        resolve=True,
    )
