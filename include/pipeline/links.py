"""Addresses of files for people: behind Airflow's login, by a page that mails a one-time code, or signed by a store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from include import kinds, targets
from include.connections import resolve
from include.definitions.model import ExportDefinition, Target
from include.errors import BadInput, LoyaltyError, NeedsPerson, Problem, Transient
from include.pipeline.checks import options_of
from include.pipeline.context import Context
from include.pipeline.scrubbing import scrubbed
from include.settings import WEB_PREFIX, Settings
from include.state.deliveries import DeliveryState
from include.state.identity import delivery_key
from include.state.links import LIFETIME
from include.state.runs import RunRecord
from include.targets.protocol import Parcel, ParcelFile

_WITH_PERSON = (DeliveryState.CONFLICT, DeliveryState.UNCERTAIN)


def with_login(settings: Settings, run_key: str, name: str = "") -> str:
    """Return the address of a run's file for who may read the export in Airflow; it does not expire.

    Without a name it is that of the page which lists the run's files.
    """
    folder = f"{_base(settings)}{WEB_PREFIX}/files/{run_key}"
    return f"{folder}/{quote(name, safe='')}" if name else folder


def with_code(
    context: Context,
    run_key: str,
    name: str,
    recipient: str,
    expires: timedelta = LIFETIME,
    *,
    delivery_key: str | None = None,
) -> str:
    """Return the address of a new page that mails a one-time code to the recipient, for one download at a time."""
    base = _base(context.settings)
    token = context.state.links.make(
        run_key=run_key, file=name, recipient=recipient, expires=expires, delivery_key=delivery_key
    )
    return f"{base}{WEB_PREFIX}/d/{token}"


def file_of(run: RunRecord, name: str) -> dict[str, Any] | None:
    """Return what the run's record says of its file of that name, None when it has none."""
    return next((each for each in run.files if each["name"] == name), None)


@dataclass(frozen=True)
class ParcelLinks:
    """The addresses of one delivery's files (see `protocol.Links`)."""

    context: Context
    run: RunRecord
    delivery_key: str

    def page(self, file: ParcelFile, recipient: str, expires: timedelta, *, login: bool) -> str:
        """Return the address of a page; BadInput when LOYALTY_PUBLIC_URL is not set. What needs a login stays."""
        if login:
            return with_login(self.context.settings, self.run.run_key, file.name)
        return with_code(
            self.context,
            self.run.run_key,
            file.name,
            recipient,
            expires,
            delivery_key=self.delivery_key,
        )

    def signed(self, file: ParcelFile, target: str, expires: timedelta) -> str:
        """Return an address at the target of that label, once this run's delivery to it is confirmed.

        Raises BadInput for a target that the definition does not have or that signs nothing, Transient while it does
        not hold the file, NeedsPerson when its delivery waits for a person, and what the target raises.
        """
        wanted = self._target(target)
        module = kinds.load(targets, wanted.kind, where=f"target {target}")
        if not hasattr(module, "link"):
            right = f"{wanted.kind} cannot sign an address; s3, gcs and azure_blob can"
            raise BadInput([Problem("link", target, right, "unsigned_target")])
        self._wait_for(target)
        options = options_of(module, wanted.options, f"target {target}")
        names = module.connections(options)
        secrets, problems = resolve(self.context.connections, names, self.context.settings.keys)
        if problems:
            raise BadInput(problems)
        parcel = Parcel([file], delivery_key(self.run.run_key, target))
        try:
            found: dict[str, str] = module.link(options, parcel, secrets, expires)
        except LoyaltyError as error:
            raise scrubbed(error, secrets.scrub) from None
        return found[file.name]

    def _target(self, label: str) -> Target:
        known = {each.label: each for each in ExportDefinition.model_validate(self.run.definition).targets}
        if label not in known:
            right = f"the targets of this definition are {', '.join(known)}"
            raise BadInput([Problem("link", label, right, "unknown_target")])
        return known[label]

    def _wait_for(self, label: str) -> None:
        found = self.context.state.deliveries.get(delivery_key(self.run.run_key, label))
        if found is not None and found.state in _WITH_PERSON:
            raise NeedsPerson(f"the delivery to {label}, which the link is to lead to, waits for a person")
        if found is None or found.state is not DeliveryState.CONFIRMED:
            raise Transient(
                f"the file is not at {label} yet, where the link is to lead to: deliver there first"
            )


def _base(settings: Settings) -> str:
    if not settings.public_url:
        right = "set it to the address under which people reach Airflow, such as https://loyalty.example.com"
        raise BadInput([Problem("LOYALTY_PUBLIC_URL", "", right, "missing_public_url")])
    return settings.public_url
