"""How hard the fault tests try: LOYALTY_KILLS kills and about as many faults of other kinds, few unless asked."""

from __future__ import annotations

import os

KILLS = int(os.environ.get("LOYALTY_KILLS", "16"))
# Every point, not some of them.
EVERY = KILLS >= 90
