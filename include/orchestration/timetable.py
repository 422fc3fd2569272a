"""The one Airflow timetable: every schedule kind of a definition, in its time zone.

A run stands for an occurrence, so its data interval is that instant alone; the reporting period is computed
from it in the definition's zone (`include.definitions.occasion`). A backfill over dates is therefore the same
computation as the scheduled runs of those dates. The plugin registers the class under this module's name.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.exceptions import AirflowTimetableInvalid
from airflow.timetables.base import DagRunInfo, DataInterval, Timetable
from pendulum import DateTime, instance

from include.definitions.schedule import SCHEDULE, Once, Recurrence, Schedule
from include.definitions.zones import zone

if TYPE_CHECKING:
    from airflow.timetables.base import TimeRestriction

# A DAG file is read again and again: an occurrence that came due since the last reading is not missed.
DUE_GRACE = timedelta(hours=1)


class LoyaltyTimetable(Timetable):
    """Runs at the occurrences of a schedule.

    schedule: the `schedule` of a definition, as its model or as its document. timezone: IANA name.
    """

    periodic = True  # also `once`, so that its one run can be backfilled

    def __init__(self, schedule: Schedule | dict[str, Any], timezone: str) -> None:
        model = SCHEDULE.validate_python(schedule)
        zone(timezone)
        self.recurrence = Recurrence(model, timezone)
        self.description = self.recurrence.describe()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LoyaltyTimetable) and self.recurrence == other.recurrence

    def __hash__(self) -> int:
        return hash(self.description)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.description!r})"

    @property
    def summary(self) -> str:
        """What the UI shows, such as `Monthly on the Last day 06:00 Europe/Paris`."""
        return self.description

    def serialize(self) -> dict[str, Any]:
        """Return what `deserialize` takes."""
        return self.recurrence.document()

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> LoyaltyTimetable:
        """Return the timetable that `data` was made from."""
        return cls(data["schedule"], data["timezone"])

    def validate(self) -> None:
        """Refuse a schedule without any occurrence (the model has refused those that it can see alone)."""
        if self.recurrence.next_after(datetime(1970, 1, 1, tzinfo=UTC)) is None:
            raise AirflowTimetableInvalid(f"never fires: {self.description}")

    def infer_manual_data_interval(self, *, run_after: DateTime) -> DataInterval:
        """Return the instant of the trigger: a manual run stands for the moment it was asked for."""
        return DataInterval.exact(run_after)

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """Return the next run: after the last one, within the restriction (whose both ends are included).

        Without catchup, of the missed occurrences only the latest still runs. On a DAG that has never run, an
        occurrence is missed when it is older than `DUE_GRACE`; a one-off is never missed.
        """
        last = last_automated_data_interval.end if last_automated_data_interval else None
        bounds: list[datetime] = [last] if last is not None else []
        if restriction.earliest is not None:
            bounds.append(restriction.earliest - timedelta(microseconds=1))
        if not restriction.catchup and not isinstance(self.recurrence.schedule, Once):
            now = datetime.now(UTC)
            latest_due = self.recurrence.previous_before(now + timedelta(microseconds=1))
            due = latest_due is not None and (last is not None or now - latest_due <= DUE_GRACE)
            bounds.append(latest_due - timedelta(microseconds=1) if due and latest_due else now)
        if not bounds:
            if not isinstance(self.recurrence.schedule, Once):
                return None  # nothing says where to begin
            bounds.append(datetime(1970, 1, 1, tzinfo=UTC))
        occurrence = self.recurrence.next_after(max(bounds))
        if occurrence is None or (restriction.latest is not None and occurrence > restriction.latest):
            return None
        return DagRunInfo.exact(instance(occurrence, tz="UTC"))
