"""Watched folders, of this machine and of SFTP servers: what is put there is imported, and then moved away.

A file goes `inbox -> taken -> archive | refused`, each by one rename, and its name in the last three begins with the
import's id. So nothing else is remembered, and a look that was killed is simply done again.
"""

from __future__ import annotations

from include.pipeline.inbox.config import Inbox, inboxes
from include.pipeline.inbox.look import Looked, look

__all__ = ["Inbox", "Looked", "inboxes", "look"]
