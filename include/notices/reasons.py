"""Why a step failed, in words that may leave the house."""

from __future__ import annotations

from include.errors import BadInput, LedgerViolation, LoyaltyError, Permanent

LEDGER = "the ledger breaks a rule"


def reason(step: str, error: LoyaltyError) -> str:
    """Return why a step failed.

    What `pin` refuses stands in definitions and settings; the errors of later steps may quote the ledger's rows.
    """
    if step == "pin":
        return f"pin failed: {error}"
    log = f"The log of {step} says more."
    if isinstance(error, LedgerViolation):
        return f"{step} failed: {LEDGER}. `loyalty ledger check` lists the rows. {log}"
    if isinstance(error, BadInput):
        return f"{step} failed: the definition, a setting or the data must be put right. {log}"
    if isinstance(error, Permanent):
        return f"{step} failed: a setting or a right must be put right. {log}"
    return f"{step} failed in every attempt; what it needs was away. {log}"
