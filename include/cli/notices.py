"""`loyalty notices`, `loyalty watch` and `loyalty digest`: who was told what, and telling them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from include.cli.shown import Json, document, instant, table
from include.errors import BadInput, Problem

app = typer.Typer(help="Who was told what, and sending it again.", no_args_is_help=True)
Key = Annotated[str, typer.Argument(metavar="KEY", help="A notice's key, or its first characters.")]
_HEAD = ["notice", "event", "export", "run", "channel", "recipient", "state", "message"]


@app.command("list")
def list_(
    run: Annotated[str | None, typer.Option(help="Only notices of this run.")] = None,
    state: Annotated[
        str | None, typer.Option(help="Only those that are waiting, sent, unknown, failed.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 100,
    as_json: Json = False,
) -> None:
    """List notices, the newest first."""
    from include.state.notices import NoticeState

    known = [each.value for each in NoticeState]
    if state is not None and state not in known:
        raise BadInput([Problem("--state", state, f"must be one of {', '.join(known)}", "unknown_state")])
    found = _context().state.notices.list(
        run_key=run, state=None if state is None else NoticeState(state), limit=limit
    )
    if as_json:
        document([each.model_dump(mode="json") for each in found])
        return
    rows = [
        [each.key[:12], each.event, each.definition_id, (each.run_key or "")[:12], each.channel, each.recipient,
         each.state.value, each.message]
        for each in found
    ]  # fmt: skip
    table(_HEAD, rows)


@app.command()
def retry(key: Key) -> None:
    """Send a notice again that failed, is unknown, or waits."""
    from include.pipeline import notify

    context = _context()
    found = [each for each in context.state.notices.list(limit=100_000) if each.key.startswith(key)]
    if len(found) != 1:
        right = "several notices begin so: give more of it" if found else "no notice begins so"
        raise BadInput([Problem("notice", key, right, "unknown_notice")])
    context.state.notices.retry(found[0].key)
    _show(notify.send(context, [found[0].key]))


def watch(as_json: Json = False) -> None:
    """Tell who should know of runs that are late, and send what could not be sent; Airflow does it every 15 minutes."""
    from include.pipeline.watch import watch as look

    done = look(_context())
    if as_json:
        document(done)
        return
    table(["late export", "scheduled for"], [[each["export"], each["occurrence"]] for each in done["late"]])
    _show(done["notices"])


def digest(
    since: Annotated[str | None, typer.Option(help="From this instant; a week ago when left out.")] = None,
    send: Annotated[bool, typer.Option("--send", help="Mail it to LOYALTY_DIGEST_EMAIL.")] = False,
    as_json: Json = False,
) -> None:
    """Say what every export did lately, what waits for a person, and what comes next."""
    from include.notices import words
    from include.pipeline import digest as digests

    until = datetime.now(UTC)
    start = instant("--since", since) or until - timedelta(days=7)
    if start >= until:
        raise BadInput([Problem("--since", str(since), "must be before now", "since_in_future")])
    context = _context()
    if send:
        _show(digests.send(context, start, until))
        return
    notice = digests.digest(context, start, until)
    if as_json:
        document(notice.model_dump(mode="json"))
        return
    typer.echo(f"{notice.title}\n\n{words.text(notice)}", nl=False)


def _show(sent: list[dict[str, Any]]) -> None:
    rows = [[each[name] for name in ("event", "channel", "recipient", "state", "message")] for each in sent]
    table(["event", "channel", "recipient", "state", "message"], rows)


def _context() -> Any:
    from include.pipeline import Context

    return Context.from_settings()
