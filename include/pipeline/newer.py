"""What an older run may no longer bring, because a newer run of its export has been to the target.

Where a target replaces files of the same name, an older run never comes over a newer one's.
Two runs have one name when it tells only their period, such as `points_2026-01` of each day of a month, or when an
edited export makes a period anew. Newer is the run about the later T, and of one T the one that knows more.

A run since the last delivery takes along the periods of runs that failed before it. One of those that is tried again
afterwards would bring the same rows a second time.
"""

from __future__ import annotations

from include.errors import NeedsPerson, NotYet
from include.pipeline.artefacts import SHOWN_CHARACTERS, described
from include.pipeline.context import Context
from include.state.deliveries import Rival
from include.state.runs import RunRecord


def keep_the_newer(context: Context, run: RunRecord, target: str, key: str) -> None:
    """Raise NeedsPerson when a newer run has, or may have, a file's name there; NotYet while an older one brings it.

    key: of the delivery, which says already that it is sending: of two that begin at one moment each sees the other.
    """
    names = {each["name"] for each in run.files}

    def same(rival: Rival) -> list[str]:
        return sorted(names & {each["name"] for each in rival.run.files})

    deliveries = context.state.deliveries
    for rival in reversed(deliveries.rivals(run, target, later=True)):
        if found := same(rival):
            raise NeedsPerson(_refusal(target, found[0], run, rival.run, key[:SHOWN_CHARACTERS]))
    for rival in deliveries.rivals(run, target, later=False):
        if rival.is_live and (found := same(rival)):
            held = f"an older run, {described(rival.run)}, is bringing {found[0]} to {target} now"
            raise NotYet(held, rival.expires_at)


def keep_what_was_made_up_for(context: Context, run: RunRecord, target: str, key: str) -> None:
    """Raise NeedsPerson when a later run since the last delivery, which covers this one's period, has been there."""
    for rival in context.state.deliveries.rivals(run, target, later=True):
        later = rival.run
        if later.occurrence and later.start and run.end and later.start < run.end:
            raise NeedsPerson(
                f"{target}: a later run, {described(later)}, was sent there and covers this period too: its rows would "
                f"arrive twice. {_choice(key[:SHOWN_CHARACTERS], 'leave it so', 'send it')}"
            )


def _refusal(target: str, name: str, run: RunRecord, newer: RunRecord, key: str) -> str:
    return (
        f"{target}: {name} there is of a newer run ({described(newer)}), and the older one ({described(run)}) does not "
        f"replace it. {_choice(key, 'let the newer one stand', 'put the older one in its place')}"
    )


def _choice(key: str, leave: str, send: str) -> str:
    return (
        f"To {leave}: loyalty deliveries resolve {key} --arrived. To {send} all the same: "
        f"loyalty deliveries resolve {key} --not-arrived, then loyalty deliveries retry {key}"
    )
