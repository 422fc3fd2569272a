"""Who hears of an event, by which way: whom the definition names, whom the installation names, and who asked."""

from __future__ import annotations

from typing import Any

from include.definitions.model import ExportDefinition
from include.definitions.notify import AirflowRule, EmailRule, Event, Rule, WebhookRule, covers
from include.notices.installation import Installation
from include.state.notices import Address


def recipients(definition: ExportDefinition, installation: Installation, event: Event) -> list[Address]:
    """Return whom the definition's rules and the installation tell of an event, each once."""
    found = [
        each for rule in definition.notify.rules if rule.covers(event) for each in _by(rule, installation)
    ]
    if covers(installation.when, event):
        found += [email(address, installation.mail) for address in installation.emails]
        if installation.webhook:
            found.append(Address("webhook", installation.webhook, {"connection": installation.webhook}))
    # One notice each, whoever names them twice.
    return list({each.key(event, ""): each for each in reversed(found)}.values())[::-1]


def requester(
    definition: ExportDefinition, installation: Installation, user: str | None, *, login: bool
) -> Address | None:
    """Return how who asked for a run is told; None when nobody did, nobody wants it, or no address is known.

    login: whether the links are behind Airflow's login; else they lead to a page that mails a one-time code.
    """
    address = installation.address_of(user)
    if address is None or not (definition.notify.requester and installation.requester):
        return None
    return email(address, installation.mail, link="login" if login else "code")


def email(address: str, connection: str, *, link: str | None = None) -> Address:
    """Return the way to an e-mail address. link: how the message offers the run's files to its reader, if at all."""
    way: dict[str, Any] = {"connection": connection, **({"link": link} if link else {})}
    return Address("email", address, way)


def _by(rule: Rule, installation: Installation) -> list[Address]:
    if isinstance(rule, EmailRule):
        return [email(address, rule.connection or installation.mail) for address in rule.to]
    if isinstance(rule, WebhookRule):
        return [Address("webhook", rule.connection, {"connection": rule.connection})]
    assert isinstance(rule, AirflowRule)
    return [Address("airflow", rule.notifier, {"arguments": rule.arguments})]
