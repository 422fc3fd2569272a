"""A test send: the files of a run to whoever wants to see them, marked as a test. It is no delivery of the run.

Nothing of it is recorded as delivered, and no schedule, chain or comparison moves. What may leave in clear may do so no
more than in earnest: the export is checked as if this were its target. Whether who asks may see personal data only the
pages know: they write it into the audit chain (`allow`), and a test that Airflow runs looks there (`require_allowed`).
"""

from __future__ import annotations

import hashlib
import secrets as tokens
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from include import kinds, targets
from include.acting import actor
from include.definitions.addresses import is_address
from include.definitions.model import ExportDefinition, Target
from include.errors import BadInput, Problem
from include.notices.installation import Installation
from include.pipeline.checks import check
from include.pipeline.context import Context, Progress, silent
from include.pipeline.deliver import packed, send
from include.pipeline.personal import personal_files
from include.settings import Settings
from include.state.audit import Action
from include.state.runs import RunRecord
from include.targets.protocol import Parcel

TEST = "TEST_"
LABEL = "test"
# How long a test that was asked for in the pages may wait for Airflow to run it.
ALLOWED_FOR = timedelta(days=1)


def allow(context: Context, definition_id: str, to: str, who: str) -> None:
    """Write down that `who`, who may see the export's personal data, has it sent to an address as a test."""
    context.state.audit.write(who, Action.TEST_ALLOWED, definition_id, {"to": to})


def require_allowed(context: Context, run: RunRecord, to: str, who: str | None) -> None:
    """Raise BadInput where personal data that can be read would go to an address without the word of the pages.

    Folders for tests are the installation's own, and need no word.
    """
    if not is_address(to) or not (personal := personal_files(run)):
        return
    since = datetime.now(UTC) - ALLOWED_FOR
    said = context.state.audit.newest(
        action=Action.TEST_ALLOWED, subject=run.definition_id, actor=who or "", since=since
    )
    if any(each.subject == run.definition_id and each.detail["to"] == to for each in said):
        return
    right = (
        f"would get personal data that can be read ({', '.join(sorted(personal))}), and nobody has looked whether you "
        f"may see it: use Send to me on the page of {run.definition_id} in Loyalty > Exports, which does"
    )
    raise BadInput([Problem("test_to", to, right, "personal_test")])


def send_test(context: Context, run: RunRecord, to: str, progress: Progress = silent) -> dict[str, Any]:
    """Send the files of a run, a dry run too, to an e-mail address or into a folder; return the receipt.

    A run that has nothing to send has no receipt: `{"skipped": why}`. Raises BadInput for what may not go there, or a
    run without files; and what the target raises.
    """
    if run.skipped:
        return {"skipped": run.skipped}
    definition = ExportDefinition.model_validate(run.definition)
    target = target_for(definition, to, context.settings)
    problems = check(definition.model_copy(update={"targets": [target]}), definition.id)
    if not run.files:
        problems.append(Problem("run", run.run_key, "must be a run with files", "nothing_to_deliver"))
    if problems:
        raise BadInput(problems)
    files = [{"name": each["name"], "sha256": each["sha256"]} for each in run.files]
    context.state.audit.write(actor(), Action.TEST_SENT, run.run_key, {"to": to, "files": files})
    key = hashlib.sha256(f"test {run.run_key} {to} {tokens.token_hex(16)}".encode()).hexdigest()
    with packed(context, run, key) as parcel:
        receipt = send(context, target, _marked(parcel, target), progress)
    return receipt.model_dump(mode="json")


def target_for(definition: ExportDefinition, to: str, settings: Settings) -> Target:
    """Return the target that a test send goes to: a mail as the definition's own are, or a folder."""
    if not is_address(to):
        return Target(kind="folder", name=LABEL, options={"folder": to, "replace": True})
    own = next((target.options for target in definition.targets if target.kind == "email"), None)
    options = own if own is not None else {"connection": Installation.from_settings(settings).mail}
    kept = {name: value for name, value in options.items() if name not in ("to", "cc", "bcc", "on_doubt")}
    return Target(kind="email", name=LABEL, options={**kept, "to": [to], "on_doubt": "resend"})


def _marked(parcel: Parcel, target: Target) -> Parcel:
    """Return the parcel as a test: a message says so itself; where names stay, theirs do."""
    about = replace(parcel.about, is_test=True)
    if not kinds.load(targets, target.kind, where="test").CAPABILITIES.keeps_names:
        return replace(parcel, about=about)
    files = [replace(file, name=TEST + file.name) for file in parcel.files]
    return replace(
        parcel, files=files, about=replace(about, rows=_named(about.rows), totals=_named(about.totals))
    )


def _named(figures: Mapping[str, Any]) -> dict[str, Any]:
    return {TEST + name: value for name, value in figures.items()}
