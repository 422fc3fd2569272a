"""A process that sends what is due and is killed at a point of the way: run by test_outbox, never imported by it."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from include.connections import Connection
from include.state.notices import Notices
from tests.notices.conftest import Desk


def main(home: str, port: str, authority: str, point: str) -> None:
    """Die by SIGKILL before or after the method of the outbox that is called `point` (`-sending`, `+sending`)."""
    side, name = point[0], point[1:]
    method = getattr(Notices, name)

    def dying(*args: object, **kwargs: object) -> object:
        if side == "+":
            method(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    setattr(Notices, name, dying)
    extra = {"ca_file": authority, "from_email": "exports@shop.example"}
    mail = Connection("loyalty_mail", "smtp", "127.0.0.1", int(port), sys.argv[5], sys.argv[6], extra=extra)
    from include.pipeline import notify

    notify.send(Desk(Path(home), {"loyalty_mail": mail}).context)


if __name__ == "__main__":
    main(*sys.argv[1:5])
