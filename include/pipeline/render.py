"""Render: the report's rows into one file and its manifest, kept in the store under the run's key."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from include.connections import Secrets
from include.definitions.model import ExportDefinition
from include.errors import NotYet, Transient
from include.pipeline import keys, process, together
from include.pipeline.artefacts import refuse_gone
from include.pipeline.context import Context, Progress, silent
from include.pipeline.privacy import secrets_of
from include.pipeline.snapshot import rebound, snapshot
from include.pipeline.together import Member
from include.snapshots.local import Damaged
from include.snapshots.store import Missing
from include.state.runs import APART, RunRecord, RunStatus

LOG = logging.getLogger(__name__)
Files = list[dict[str, Any]]


def render(
    context: Context,
    run_key: str,
    progress: Progress = silent,
    shares: Sequence[Mapping[str, Any]] = (),
    *,
    with_others: bool = False,
) -> Files:
    """Return the run's files: name, store key, sha256, bytes, media type; first the data with its rows and totals.

    shares: what `render_share` made of it, all of them; they are joined then.
    None where the definition's conditions say that nothing is sent; the run's record says why.
    Made once: a second call finds them; of a run that is done the entries, also where its files were removed since.
    with_others: runs that read the same snapshot and wait for their files are
    made in the same pass; then NotYet is raised while another pass makes the files of this one. Raises
    LedgerViolation, and BadInput for connections and keys; then nothing is kept.
    """
    run = context.state.runs.get(run_key)
    if run.files_gone_at is not None and run.status is RunStatus.DONE:
        return run.files  # everybody has them
    refuse_gone(run)
    if _is_made(context, run):
        return run.files
    secrets = secrets_of(context, ExportDefinition.model_validate(run.definition))
    if shares or not with_others:
        keys.tell(context, run, secrets)
        return _alone(context, run, secrets, progress, shares)
    with together.led(context, run, secrets) as members:
        run = members[0].run
        if _is_made(context, run):
            return run.files
        for member in members:
            keys.tell(context, member.run, member.secrets)
        made = _together(context, members, progress) if len(members) > 1 else None
        return _alone(context, run, secrets, progress) if made is None else made


def _is_made(context: Context, run: RunRecord) -> bool:
    if not run.artefacts or not all(context.store.exists(each["key"]) for each in run.files):
        return False
    LOG.info("%s: its files are there already (%s)", run.definition_id, run.stage)
    return True


def _alone(
    context: Context,
    run: RunRecord,
    secrets: Secrets,
    progress: Progress,
    shares: Sequence[Mapping[str, Any]] = (),
) -> Files:
    run_key, stage = run.run_key, "include.pipeline.render_stage:make"
    progress = context.recorded(run_key, progress)
    made: Files
    try:
        made = process.in_process(stage, context.settings, run, secrets, shares, progress=progress)
    except (Damaged, Missing):
        # The snapshot is out of use now; another one answers the same for this T and K.
        snapshot(context, run_key, progress)
        run = context.state.runs.get(run_key)
        made = process.in_process(stage, context.settings, run, secrets, progress=progress)
    return context.state.runs.pin_artefacts(run_key, made).files


def _together(
    context: Context, members: Sequence[Member], progress: Progress, *, again: bool = True
) -> Files | None:
    """Make the files of all; return those of the first, None where it must be tried alone. Raises what it failed by."""
    first = members[0].run
    others = ", ".join(f"{x.run.definition_id} ({together.shown(x.run)})" for x in members[1:])
    LOG.info("%s: in one pass with %s", first.definition_id, others)
    stage, runs = "include.pipeline.render_stage:make_together", [member.run for member in members]
    reported = together.recorded(context, members, progress)
    reported("render", 0, None)
    try:
        made = process.in_process(
            stage, context.settings, runs, together.all_secrets(members), progress=reported
        )
    except (Damaged, Missing):
        snapshot(context, first.run_key, progress)
        moved = _moved(context, members)
        return _together(context, moved, progress, again=False) if again and len(moved) > 1 else None
    except NotYet as early:  # for one alone there may be scratch enough
        LOG.info("%s: not together: %s", first.definition_id, early)
        return None
    except Exception:
        LOG.warning(
            "%s: the pass failed; its runs are rendered one by one", first.definition_id, exc_info=True
        )
        for run in runs[1:]:
            _set_apart(context, run)
        return None
    for run, each in zip(runs[1:], made[1:], strict=True):
        if isinstance(each, BaseException):
            LOG.warning("%s (run %s): it failed: %s", run.definition_id, together.shown(run), each)
            if not isinstance(each, Damaged | Missing | Transient):
                _set_apart(context, run)
    if isinstance(made[0], Damaged | Missing):
        return None
    if isinstance(made[0], BaseException):
        raise made[0]
    return context.state.runs.pin_artefacts(first.run_key, made[0]).files


def _moved(context: Context, members: Sequence[Member]) -> list[Member]:
    """Return those that read the same snapshot as the first one, which has another one now."""
    wanted = context.state.runs.get(members[0].run.run_key).snapshot_id
    same = [each for each in members if rebound(context, each.run.run_key) == wanted]
    return [Member(context.state.runs.get(each.run.run_key), each.secrets) for each in same]


def _set_apart(context: Context, run: RunRecord) -> None:
    """Let nobody take the run along again: its own task renders it."""
    if context.state.runs.get(run.run_key).artefacts is None:
        context.state.runs.progress(run.run_key, APART, 0)
