"""A delivery in words: one line of a list, and all that is known of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from include.pipeline.artefacts import SHOWN_CHARACTERS
from include.pipeline.resolving import next_step
from include.pipeline.telling import happened, meaning
from include.state.audit import Entry
from include.state.deliveries import Delivery
from include.state.runs import RunRecord


def listed(delivery: Delivery, run: RunRecord) -> list[object]:
    """Return the line of a list."""
    return [
        delivery.key[:SHOWN_CHARACTERS],
        run.definition_id,
        _when(run.as_of),
        label(delivery),
        delivery.state.value,
        _when(delivery.updated_at),
        delivery.rows,
        delivery.message,
    ]


def shown(delivery: Delivery, run: RunRecord, history: Sequence[Entry]) -> str:
    """Return all that is known of a delivery. history: its entries of the audit chain, the oldest first."""
    about = {
        "run": f"{run.run_key[:SHOWN_CHARACTERS]} of {run.definition_id}, as of {_when(run.as_of)}, known at "
        f"{_when(run.known_at)}" + (f", revision {run.revision}" if run.revision else ""),
        "asked by": run.requested_by or "the schedule",
        "sent": f"again, the {delivery.sending}. time" if delivery.sending else None,
        "state": f"{delivery.state.value}: {meaning(delivery)}",
        "message": delivery.message,
        "attempts": f"{delivery.attempts}, the last by {delivery.owner}",
        "rows": f"{delivery.rows:,}" if delivery.rows is not None else None,
        "totals": ", ".join(f"{name} {total}" for name, total in (delivery.totals or {}).items()) or None,
    }
    width = max(map(len, about))
    lines = [f"Delivery {delivery.key[:SHOWN_CHARACTERS]} to {label(delivery)} (times are UTC)", ""]
    lines += [f"  {name:{width}}  {value}" for name, value in about.items() if value is not None]
    lines += _section("Files of the run", [_file(each) for each in run.files])
    lines += _section("What is there", places(delivery.receipt or {}))
    lines += _section("History", _history(delivery, history))
    lines += _section("What to do", (next_step(delivery) or "").splitlines())
    return "\n".join(lines)


def label(delivery: Delivery) -> str:
    """Return the target's name, with the number of the sending where it is a repetition."""
    return f"{delivery.target} (again {delivery.sending})" if delivery.sending else delivery.target


def places(receipt: Mapping[str, Any]) -> list[str]:
    """Return what a receipt says of files, recipients, and by whose word."""
    found = [
        f"{each['place']}  {each['bytes']:,} bytes, {each['outcome']}, sha256 {each['sha256']}"
        for each in receipt.get("files", ())
    ]
    found += [
        f"{each['address']}: {each['answer']}" + (f" ({each['said']})" if each.get("said") else "")
        for each in receipt.get("recipients", ())
    ]
    if word := receipt.get("word"):
        said = "it arrived" if word["arrived"] else "it did not arrive"
        note = f": {word['note']}" if word.get("note") else ""
        found.append(f"{word['by']} says that {said}{note} ({_when(datetime.fromisoformat(word['at']))})")
    return found


def _file(entry: Mapping[str, Any]) -> str:
    rows = f"{entry['rows']:,} rows, " if "rows" in entry else ""
    return f"{entry['name']}  {rows}{entry['bytes']:,} bytes, sha256 {entry['sha256']}"


def _history(delivery: Delivery, entries: Sequence[Entry]) -> list[str]:
    told = ((each.at, happened(each)) for each in entries)
    return [
        f"{_when(delivery.created_at)}  first attempt",
        *(f"{_when(at)}  {text}" for at, text in told if text),
    ]


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return ["", title, *(f"  {line}" for line in lines)] if lines else []


def _when(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
