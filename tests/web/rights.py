"""An auth manager of Airflow whose users may read some exports and not others, as FAB's can."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

READS = {"finance": {"month-end"}, "care": {"weekly-history"}}


class PerExport(SimpleAuthManager):
    """Roles as ever; a user of READS, in addition, only their exports."""

    def is_authorized_dag(self, *, user: SimpleAuthManagerUser, details: Any = None, **asked: Any) -> bool:
        theirs = READS.get(user.username)
        known = theirs is None or (details is not None and details.id in theirs)
        return known and super().is_authorized_dag(user=user, details=details, **asked)
