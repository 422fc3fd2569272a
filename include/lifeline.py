"""Processes that end when the one that started them is gone, however it ended."""

from __future__ import annotations

import contextlib
import os
import signal


def end_with(parent: int) -> None:
    """Ask the kernel (Linux) to end this process when its parent, of that id, is gone."""
    import ctypes

    with contextlib.suppress(OSError):
        ctypes.CDLL("libc.so.6").prctl(1, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
