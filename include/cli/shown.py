"""What the command line shows: tables and progress for people, JSON for machines, errors on standard error."""

from __future__ import annotations

import getpass
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from include.definitions import zones
from include.errors import BadInput, LoyaltyError, NotYet, Problem

T = TypeVar("T")
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document, and no progress.")]
OUT = Console()
# How wide a table may be where nobody knows how wide the reader's window is.
FILE_COLUMNS = 240
ERR = Console(stderr=True)


def user() -> str:
    """Return who uses the command line: the operating system's user."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return f"user {os.getuid()}"


def instant(name: str, text: str | None, zone: str = "UTC") -> datetime | None:
    """Return an instant given on the command line; a date alone is the beginning of that day in a time zone."""
    if text is None:
        return None
    right = (
        f"must be an instant such as 2026-02-01T00:00:00+01:00, or a date: the beginning of that day, {zone}"
    )
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadInput([Problem(name, text, right, "bad_instant")]) from None
    if moment.tzinfo is None:
        if len(text) > len("2026-01-31"):
            raise BadInput([Problem(name, text, f"has no zone; {right}", "instant_without_zone")])
        moment = zones.start_of(moment.date(), zones.zone(zone))
    return moment


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None) -> None:
    """Print rows for a person; no value is cut short."""
    shown = Table(title=title, title_justify="left")
    for column in columns:
        shown.add_column(column, overflow="fold")
    for row in rows:
        shown.add_row(*("" if value is None else str(value) for value in row))
    if not OUT.is_terminal:
        OUT.width = FILE_COLUMNS
    OUT.print(shown)


def document(value: object) -> None:
    """Print a value as JSON."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def fail(error: LoyaltyError) -> int:
    """Print an error and return its exit code."""
    ERR.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
    return error.exit_code


@contextmanager
def progress_bar(*, quiet: bool) -> Iterator[Callable[[str, int, int | None], None]]:
    """Give a progress function that draws a bar on a terminal, and says nothing elsewhere."""
    if quiet or not ERR.is_terminal:
        yield lambda _stage, _done, _total: None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=ERR, transient=True) as bar:
        tasks: dict[str, Any] = {}

        def show(stage: str, rows_done: int, rows_total: int | None) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=rows_total)
            bar.update(tasks[stage], completed=rows_done, total=rows_total)

        yield show


def patiently(step: Callable[[], T], *, wait: bool) -> T:
    """Return what the step returns, waiting as long as it says that it is too early."""
    while True:
        try:
            return step()
        except NotYet as early:
            if not wait:
                raise
            seconds = max((early.until - datetime.now(UTC)).total_seconds(), 1.0)
            ERR.print(f"{early}; waiting until {early.until:%Y-%m-%d %H:%M:%S} UTC", markup=False)
            time.sleep(seconds)
