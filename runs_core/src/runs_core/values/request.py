"""What an administrator asks of the scheduler on a node of the fleet, in an annotation."""

from __future__ import annotations

from datetime import datetime, timedelta

import attrs

ANSWERED_WITHIN = timedelta(minutes=10)
"""A request that nothing could be done for by then is void: nobody waits for it any more."""


@attrs.frozen(kw_only=True)
class Request:
    """GPUs of a flavor that are to come free. domain: region/cluster/name; empty: any. at: when it was asked (UTC).

    uid: made up by whoever asks; one is answered once.
    """

    uid: str
    flavor: str
    gpus: int
    domain: str = ""
    at: datetime

    def stands(self, now: datetime) -> bool:
        """Whether it is still to be answered, if it was not."""
        return now < self.at + ANSWERED_WITHIN
