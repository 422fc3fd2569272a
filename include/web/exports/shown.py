"""Runs, files and deliveries as pages show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from include.formats.manifest import is_about
from include.pipeline import pace
from include.pipeline.artefacts import why_gone
from include.pipeline.figures import totals
from include.pipeline.telling import ToDo, happened, meaning, to_do
from include.state.audit import Entry
from include.state.deliveries import Delivery, DeliveryState
from include.state.last_run import WORKING
from include.state.runs import RunRecord, RunStatus

SHOWN_CHARACTERS = 12
LEFT_ALONE = timedelta(minutes=15)
_STATUS = {
    RunStatus.PINNED: ("waiting", "quiet"),
    RunStatus.RUNNING: ("working", "busy"),
    RunStatus.RENDERED: ("made", "busy"),
    RunStatus.DONE: ("done", "good"),
    RunStatus.FAILED: ("failed", "bad"),
}
_DELIVERY = {
    DeliveryState.CLAIMED: ("sending", "busy"),
    DeliveryState.READY: ("sending", "busy"),
    DeliveryState.SENDING: ("sending", "busy"),
    DeliveryState.CONFIRMED: ("delivered", "good"),
    DeliveryState.UNCERTAIN: ("uncertain", "warn"),
    DeliveryState.FAILED: ("failed", "bad"),
    DeliveryState.CONFLICT: ("conflict", "bad"),
}


class Badge(NamedTuple):
    """A word, and how it is coloured."""

    text: str
    kind: str


@dataclass(frozen=True)
class ShownRun:
    """A run with what pages say of it. share: of the stage it is in, from 0 to 1, None while nobody knows."""

    run: RunRecord

    @property
    def key(self) -> str:
        """How people call it: the first characters of its key."""
        return self.run.run_key[:SHOWN_CHARACTERS]

    @property
    def badges(self) -> tuple[Badge, ...]:
        """The words that say how it stands."""
        run = self.run
        found = [Badge(*_STATUS[run.status])]
        if run.status is RunStatus.RENDERED and run.dry_run:
            found = [Badge("made", "good")]
        if run.skipped:
            found = [Badge("nothing to send", "quiet")]
        found += [Badge("dry run", "quiet")] if run.dry_run else []
        return tuple(found + ([Badge(f"revision {run.revision}", "quiet")] if run.revision else []))

    @property
    def at_work(self) -> bool:
        """Whether it may still move by itself; files that were made and never sent do not."""
        run = self.run
        if run.status is RunStatus.RENDERED:
            return not run.dry_run and self.silence < LEFT_ALONE
        return run.status.value in WORKING

    @property
    def silence(self) -> timedelta:
        """For how long nothing was heard of it."""
        return datetime.now(UTC) - (self.run.updated_at or datetime.now(UTC))

    @property
    def share(self) -> float | None:
        """How much of its stage is done, from 0 to 1."""
        run = self.run
        making = run.status is not RunStatus.RENDERED  # then it delivers, and nobody knows how far that is
        return min(run.rows_done / run.rows_total, 1) if run.rows_total and making else None

    @property
    def news(self) -> str:
        """How far a run at work is: `render: 1,200 of 3,400 rows, about 2 min left`."""
        run = self.run
        if run.status is RunStatus.RENDERED:
            return "delivering"
        told = run.stage.replace("_", " ") or "waiting to begin"
        if run.rows_total:
            told += f": {min(run.rows_done, run.rows_total):,} of {run.rows_total:,} rows"
        elif run.rows_done:
            told += f": {run.rows_done:,} rows"
        left = pace.time_left(run)
        return told if left is None else f"{told}, {pace.shown(left)}"

    @property
    def data(self) -> list[dict[str, Any]]:
        """Its files that hold data: not the manifest, nor a signature."""
        return [each for each in self.run.files if not is_about(each["name"])]

    @property
    def about(self) -> list[dict[str, Any]]:
        """Its manifest, and the manifest's signature."""
        return [each for each in self.run.files if is_about(each["name"])]

    @property
    def rows(self) -> int | None:
        """The rows of its files, without those that tell of changes."""
        data = [each for each in self.data if each.get("holds", "rows") == "rows"]
        return sum(each.get("rows", 0) for each in data) if data else None

    @property
    def size(self) -> int | None:
        """The bytes of its files."""
        return sum(each["bytes"] for each in self.data) if self.data else None

    @property
    def gone(self) -> str:
        """When and why its files were removed; empty while they are kept."""
        return why_gone(self.run) if self.run.files_gone_at is not None else ""

    @property
    def totals(self) -> dict[str, Decimal]:
        """Its rows and totals."""
        return totals(self.run.files)

    @property
    def failure(self) -> str:
        """Why it failed, or why nothing was sent; empty where neither is so."""
        run, summary = self.run, self.run.summary or {}
        if run.skipped:
            return run.skipped
        if run.status is not RunStatus.FAILED:
            return ""
        missing = [
            f"{label}: {each.get('message') or each.get('state')}"
            for label, each in (summary.get("deliveries") or {}).items()
            if each.get("state") != DeliveryState.CONFIRMED
        ]
        return (
            "\n".join([*([summary["failure"]] if summary.get("failure") else []), *missing])
            or "no file was made"
        )

    @property
    def labels(self) -> list[str]:
        """What the targets of its definition are called."""
        return [str(each.get("name") or each.get("kind")) for each in self.run.definition.get("targets", ())]

    @property
    def asked_by(self) -> str:
        """Who asked for it."""
        return self.run.requested_by or "the schedule"

    @property
    def seconds(self) -> float | None:
        """How long it took from its beginning to its last change; None while it is at work."""
        run = self.run
        if self.at_work or run.created_at is None or run.updated_at is None:
            return None
        return (run.updated_at - run.created_at).total_seconds()


@dataclass(frozen=True)
class ShownDelivery:
    """A delivery with what pages say of it. history: its entries of the audit chain, the oldest first."""

    delivery: Delivery
    history: Sequence[Entry] = ()

    @property
    def label(self) -> str:
        """The target, with the number of the sending where it is a repetition."""
        each = self.delivery
        return f"{each.target} (again {each.sending})" if each.sending else each.target

    @property
    def badge(self) -> Badge:
        """How it stands, in a word."""
        each = self.delivery
        text, kind = _DELIVERY[each.state]
        if kind == "busy" and not each.is_live:
            return Badge("interrupted", "warn")
        return Badge(text, kind)

    @property
    def meaning(self) -> str:
        """How it stands, in words."""
        return meaning(self.delivery)

    @property
    def to_do(self) -> ToDo | None:
        """What somebody should do about it."""
        return to_do(self.delivery)

    @property
    def files(self) -> list[Mapping[str, Any]]:
        """What the target holds: each with place, bytes, hash as read back from there."""
        return list((self.delivery.receipt or {}).get("files", ()))

    @property
    def recipients(self) -> list[Mapping[str, Any]]:
        """Who was sent a message, and what their server answered."""
        return list((self.delivery.receipt or {}).get("recipients", ()))

    @property
    def word(self) -> Mapping[str, Any] | None:
        """What a person said of it; `at` is an instant."""
        found = (self.delivery.receipt or {}).get("word")
        return {**found, "at": datetime.fromisoformat(found["at"])} if found else None

    @property
    def happened(self) -> list[tuple[datetime, str]]:
        """What happened to it, the oldest first."""
        told = ((each.at, happened(each)) for each in self.history)
        first = (self.delivery.created_at.astimezone(UTC), "first attempt")
        return [first, *((at, text) for at, text in told if text)]
