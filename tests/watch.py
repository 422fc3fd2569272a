"""Canaries: secrets that say where they were, and a look for them in all the forms in which servers and logs quote them."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote


def canary(name: str) -> str:
    """A secret that says where it was: of 32 characters and more, as salts must have."""
    return f"canary-{name}-Kx81zQv7+/Wd=-never-to-be-seen"


class Watch:
    """Knows the secrets by their names."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}

    def secret(self, name: str, value: str | None = None) -> str:
        """Watch for a secret from now on; return it."""
        self.secrets[name] = value or canary(name)
        return self.secrets[name]

    def key(self, name: str, text: str) -> str:
        """Watch for every line of a private key; return it."""
        for number, line in enumerate(text.splitlines()):
            if line and not line.startswith("-----"):
                self.secret(f"{name} line {number}", line)
        return text

    def seen_in(self, text: str) -> list[str]:
        """The names of the secrets that a text holds."""
        return [name for name, value in self.secrets.items() if any(form in text for form in _forms(value))]


def _forms(secret: str) -> list[str]:
    """As it is, in a URL, in JSON, and in base64 wherever it begins there."""
    found = {secret, quote(secret, safe=""), json.dumps(secret)[1:-1]}
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + secret.encode()).decode()
        found.add(whole[4 if before else 0 : -4])
    return [each for each in found if len(each) > 11]
