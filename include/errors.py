"""Every error that this product raises, grouped by what the caller does next.

Bad data is described by `Problem` values, collected and raised together in one `BadInput`; a broken
program raises an ordinary exception. Only `orchestration` translates these classes for Airflow.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in an input.

    where: the file, row, column or field, as its author would find it (`daily.yaml: schedule.time`).
    value: what stands there, as text (shortened when long).
    right: what would be right, as a sentence.
    code: a short stable name for machines (`unknown_time_zone`).
    """

    where: str
    value: str
    right: str
    code: str

    def __str__(self) -> str:
        shown = self.value if len(self.value) <= 200 else self.value[:197] + "..."
        return f"{self.where}: {shown!r}: {self.right}"


class LoyaltyError(Exception):
    """Base of all; `exit_code` is what the command line returns."""

    exit_code = 1


class BadInput(LoyaltyError):
    """The input must be changed by whoever wrote it; retrying does not help. Holds all problems at once."""

    exit_code = 2

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        lines = [str(problem) for problem in self.problems]
        head = (
            lines[0] if len(lines) == 1 else f"{len(lines)} problems:\n" + "\n".join(f"- {x}" for x in lines)
        )
        super().__init__(head)

    def __reduce__(self) -> tuple[type[BadInput], tuple[tuple[Problem, ...]]]:
        """Travel between processes with the problems, not with their text."""
        return type(self), (self.problems,)


class NotYet(LoyaltyError):
    """It is too early: the period has not closed, or somebody else is making what we need. Ask again at `until`."""

    def __init__(self, message: str, until: datetime) -> None:
        self.until = until
        super().__init__(message)

    def __reduce__(self) -> tuple[type[NotYet], tuple[str, datetime]]:
        """Travel between processes with the instant."""
        return type(self), (str(self), self.until)


class Transient(LoyaltyError):
    """Try again later: a network, a busy server, a database restarting."""


class Permanent(LoyaltyError):
    """Trying again gives the same; somebody must change a setting or a right. The message says which."""


class LedgerViolation(LoyaltyError):
    """An invariant of the ledger failed; nothing may be delivered. The message names the accounts."""


class NeedsPerson(LoyaltyError):
    """A delivery is uncertain or in conflict; a person must look. The message says at what."""


class Uncertain(NeedsPerson):
    """Nobody can tell whether the target took what was sent, and sending again could send twice."""


def portable(error: BaseException, note: str) -> BaseException:
    """Return the error as it comes out of another process, with a note; as text where it cannot travel."""
    try:
        carried: BaseException = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    except Exception:  # noqa: BLE001 - any failure means that it cannot travel
        carried = RuntimeError(f"{type(error).__name__}: {error}")
    carried.add_note(note)
    return carried
