"""Answers that take time to find, kept for a while: who asks later gets the last one while a new one is found."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")
LOG = logging.getLogger(__name__)


@dataclass
class _Answer(Generic[T]):
    value: T
    at: float
    sought: bool = False


@dataclass
class Kept(Generic[T]):
    """Answers by key, each good for `seconds` in this process."""

    seconds: float
    _answers: dict[str, _Answer[T]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, key: str, find: Callable[[], T]) -> T:
        """Return the answer. The first is waited for; one that is too old is still given, while a thread finds anew."""
        answer = self._answers.get(key)
        if answer is None:
            found = find()
            self._answers[key] = _Answer(found, time.monotonic())
            return found
        with self._lock:
            stale = time.monotonic() - answer.at >= self.seconds and not answer.sought
            answer.sought = answer.sought or stale
        if stale:
            threading.Thread(target=self._find, args=(key, find), name="kept", daemon=True).start()
        return answer.value

    def known(self, key: str) -> T | None:
        """Return the last answer, whatever its age; None where nobody has asked."""
        answer = self._answers.get(key)
        return None if answer is None else answer.value

    def forget(self) -> None:
        """Let everybody who asks next wait for a new answer."""
        self._answers.clear()

    def _find(self, key: str, find: Callable[[], T]) -> None:
        try:
            self._answers[key] = _Answer(find(), time.monotonic())
        except Exception:
            LOG.exception("%s could not be found out again", key)
            self._answers[key].sought = False
