"""What a delivery needs of a folder, tried with probes that are removed again."""

from __future__ import annotations

import secrets as tokens
from contextlib import suppress

from include.targets.protocol import PART_PREFIX
from include.targets.ssh.remote import Refused
from include.targets.ssh.there import There


def probed(there: There) -> list[str]:
    """Do with a probe what a delivery does; return what is not possible."""
    remote, found = there.remote, []
    name = f"{PART_PREFIX}probe-{tokens.token_hex(8)}"
    one, two, named = (there.path(f"{name}{end}") for end in ("", "-2", "-named"))
    login = there.connection.login
    try:
        for path in (one, two):
            list(remote.write(path, lambda _: (b"probe",), mode=there.file_mode))
    except Refused as refused:
        remote.discard(one)
        return [f"{login} may not write here: {refused}; ask the server's owner for that right"]
    try:
        if there.options.verify == "read_back" and b"".join(remote.read(one, 5)) != b"probe":
            found.append("what was written is not what was read back; look at the server")
    except Refused as refused:
        found.append(f"{login} may not read here: {refused}; ask for that right, or set verify: size")
    try:
        remote.rename(one, named)
    except Refused as refused:
        found.append(f"{login} may not rename here: {refused}; ask the server's owner for that right")
    else:
        with suppress(Refused):
            remote.rename(two, named)
            found.append(
                "renaming overwrites on this server; a file that appears in the same moment could be lost: "
                "let nobody else write into this folder"
            )
    if there.options.replace and not remote.can_replace:
        found.append("the server does not offer posix-rename, so replace: true cannot work; set it to false")
    kept = {}
    for path in (one, two, named):
        try:
            if remote.size(path) is not None:
                remote.remove(path)
        except Refused as refused:
            kept[path] = refused
    if kept:
        why = next(iter(kept.values()))
        found.append(f"{login} may not delete here: {why}; ask for that right, and remove {', '.join(kept)}")
    return found
