"""GPU-hours of a simulation, by who paid for them."""

from __future__ import annotations

from collections import Counter

from runs_core.serve.summary import ClassHours
from runs_core.values.classes import Class
from runs_core.values.lease import Lease

_HOUR = 3600


class Paid:
    """Of leases that were closed: what one has used of which class is known then."""

    def __init__(self) -> None:
        self._seconds: Counter[Class] | None = None

    def ended(self, lease: Lease) -> None:
        """Nothing is counted where nobody classifies claims."""
        used = lease.status.gpu_seconds
        if used is not None:
            self._seconds = self._seconds or Counter()
            self._seconds.update({cls: getattr(used, cls.value) for cls in Class})

    def summary(self) -> ClassHours | None:
        """None: nobody classified anything."""
        if self._seconds is None:
            return None
        return ClassHours(**{cls.value: round(self._seconds[cls] / _HOUR, 6) for cls in Class})
