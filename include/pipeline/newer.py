"""Where a target replaces files of the same name, an older run never comes over a newer one's.

Two runs have one name when it tells only their period, such as `points_2026-01` of each day of a month, or when an
edited export makes a period anew. Newer is the run about the later T, and of one T the one that knows more.
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


def _refusal(target: str, name: str, run: RunRecord, newer: RunRecord, key: str) -> str:
    return (
        f"{target}: {name} there is of a newer run ({described(newer)}), and the older one ({described(run)}) does not "
        f"replace it. To let the newer one stand: loyalty deliveries resolve {key} --arrived. To put the older one in "
        f"its place all the same: loyalty deliveries resolve {key} --not-arrived, then loyalty deliveries retry {key}"
    )
