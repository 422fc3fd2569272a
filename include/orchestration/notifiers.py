"""Airflow's notifiers as a way to tell people: an administrator names them, a definition only chooses among them.

`LOYALTY_NOTIFIERS`, or else Airflow's Variable `loyalty_notifiers`, is a JSON object:

    {"ops_chat": {"path": "airflow.providers.slack.notifications.slack.SlackNotifier",
                  "arguments": {"slack_conn_id": "slack", "channel": "#ops", "text": "{subject}: {page}"},
                  "leave": ["channel"]}}

`{subject}`, `{text}`, `{event}` and `{page}` in its texts stand for the notice; `leave` names the arguments that a
definition may give. Values are values: the notifier is called without Airflow's rendering, so no text is a template.
"""

from __future__ import annotations

import importlib
import json
import os
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError

from include.errors import BadInput, Problem

if TYPE_CHECKING:
    from airflow.sdk import BaseNotifier

VARIABLE = "loyalty_notifiers"
ENVIRONMENT = "LOYALTY_NOTIFIERS"


class Entry(BaseModel):
    """One notifier that may be used: `path` of its class, its arguments, and those left to definitions."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str = Field(pattern=r"^[A-Za-z_][\w]*(\.[A-Za-z_][\w]*)+$")
    arguments: dict[str, JsonValue] = {}
    leave: list[str] = []


_ENTRIES = TypeAdapter(dict[str, Entry])


def airflow_notifier(
    name: str, arguments: Mapping[str, Any], told: Mapping[str, str], sending: Callable[[], None]
) -> None:
    """Call the notifier of that name; BadInput when it is not allowed, or is given what it may not be.

    Raises what the notifier raises.
    """
    from airflow.sdk import Context

    notifier = made(name, arguments, told)
    sending()
    notifier.notify(Context())  # what is told stands in its arguments


def made(name: str, arguments: Mapping[str, Any], told: Mapping[str, str]) -> BaseNotifier:
    """Return the notifier with its arguments filled in."""
    from airflow.sdk import BaseNotifier

    entry = _entry(name)
    problems = [
        Problem(
            f"notifier {name}", key, f"definitions may give {', '.join(entry.leave) or 'nothing'}", "not_left"
        )
        for key in arguments
        if key not in entry.leave
    ]
    problems += [
        Problem(f"notifier {name}: {key}", str(value), "is a plain value, without {{ or {%", "template")
        for key, value in arguments.items()
        if re.search(r"\{\{|\{%|\{#", json.dumps(value))
    ]
    if problems:
        raise BadInput(problems)
    module, _, word = entry.path.rpartition(".")
    try:
        kind = getattr(importlib.import_module(module), word)
    except (ImportError, AttributeError):
        raise _wrong(entry.path, "there is no such class; is its provider installed?") from None
    if not (isinstance(kind, type) and issubclass(kind, BaseNotifier)):
        raise _wrong(entry.path, "is no notifier of Airflow")
    try:
        found: BaseNotifier = kind(**_filled(entry.arguments, told), **arguments)
    except TypeError as error:
        raise _wrong(entry.path, f"does not take these arguments: {error}") from None
    return found


def _entry(name: str) -> Entry:
    text = os.environ.get(ENVIRONMENT) or _variable() or "{}"
    try:
        entries = _ENTRIES.validate_json(text)
    except ValidationError as error:
        places = ", ".join(".".join(map(str, each["loc"])) or each["msg"] for each in error.errors())
        raise _wrong(places, "must be an object of notifiers, each with path, arguments and leave") from None
    if name not in entries:
        known = ", ".join(sorted(entries)) or "none"
        raise BadInput([Problem("notifier", name, f"the administrator allows {known}", "unknown_notifier")])
    return entries[name]


def _variable() -> str | None:
    from airflow.sdk import Variable

    found = Variable.get(VARIABLE, default=None)
    return None if found is None else str(found)


def _filled(value: Any, told: Mapping[str, str]) -> Any:
    """Return an administrator's value with the notice's texts in it; each stands for itself, once."""
    if isinstance(value, str):
        return re.sub(r"\{(subject|text|event|page)\}", lambda match: told[match[1]], value)
    if isinstance(value, list):
        return [_filled(each, told) for each in value]
    if isinstance(value, dict):
        return {key: _filled(each, told) for key, each in value.items()}
    return value


def _wrong(value: str, right: str) -> BadInput:
    return BadInput([Problem(ENVIRONMENT, value, right, "bad_notifiers")])
