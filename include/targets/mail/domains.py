"""Which domains mail may go to: the setting LOYALTY_MAIL_DOMAINS, a list with commas; empty allows all.

`example.com` is that domain alone, `.example.com` every domain below it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from include.definitions.base import refuse
from include.errors import BadInput, Problem

SETTING = "LOYALTY_MAIL_DOMAINS"
_DOMAIN = r"\.?[a-z0-9-]+(\.[a-z0-9-]+)*"


def allowed_domains(environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Return the setting, in lower case; BadInput for what is no domain."""
    found = tuple(each.strip().lower() for each in environment.get(SETTING, "").split(",") if each.strip())
    right = "must be domains with commas, such as example.com, .example.org (with a dot: all below it)"
    wrong = [
        Problem(SETTING, each, right, "bad_setting") for each in found if not re.fullmatch(_DOMAIN, each)
    ]
    if wrong:
        raise BadInput(wrong)
    return found


def is_allowed(address: str, domains: tuple[str, ...]) -> bool:
    """Return whether mail may go to the address."""
    domain = address.rpartition("@")[2].lower()
    return not domains or any(
        domain.endswith(each) if each.startswith(".") else domain == each for each in domains
    )


def allowed(address: str) -> str:
    """Return the address; a problem of the model where the installation sends nothing to its domain."""
    domains = allowed_domains()
    if not is_allowed(address, domains):
        right = f"the installation sends to {', '.join(domains)} only; have the domain added to {SETTING}"
        raise refuse("domain_not_allowed", right)
    return address
