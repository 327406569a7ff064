"""What a life with promises leaves behind, without what no second life could have alike."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from tests.faults.plane import Object
from tests.faults.stage import Stage

RECORDS: Object = {
    "runs": {
        "long": ["Failed", "Canceled", 0, None],
        "wide": ["Succeeded", "Succeeded", 0, None],
        "yields": ["Failed", "Canceled", 0, None],
        "pusher": ["Succeeded", "Succeeded", 0, None],
        "guest": ["Failed", "Canceled", 1, None],
    },
    "leases": {
        "guest Canceled": 1,
        "guest UnfundedReclaimed": 1,
        "long Canceled": 3,
        "pusher Succeeded": 1,
        "wide Succeeded": 3,
    },
    "promises": [
        ["pusher", 4, "Released", "Started", [["Ends", "", True]]],
        ["wide", 12, "Released", "Started", [["Ends", "", True], ["Ends", "capacity comes free earlier", True]]],
        ["yields", 12, "Canceled", "Canceled", [["Ends", "", False], ["Ends", "capacity comes free earlier", False]]],
    ],
    "resolutions": [["pusher", "Reclaim", [["guest", 4, "unfunded"]], "Released", "Started"]],
}
"""What is left in the end, whether or not anybody was killed.

Of a run its phase, reason, cuts and standing promise; of leases why they were closed, and how many; of each promise
what it rested on, why it was moved, and whether it was held against the start. A start that a killed scheduler had
begun and that could not be gone on with is undone, and made again: the leases of that attempt are left out.
"""


def records(stage: Stage, names: Iterable[str], number: int) -> Object:
    """Of the runs of these names and that number, which is left out of them, as are times and uids."""
    runs = {what: stage.runs()[f"{what}-{number}"] for what in names}
    uids = {run["metadata"]["uid"]: what for what, run in runs.items()}
    reservations = [one for one in stage.items("Reservation") if one["spec"]["runRef"]["uid"] in uids]
    leases = [one for one in stage.items("GPULease") if one["spec"]["runRef"]["uid"] in uids and not _undone(one, runs)]
    closed = Counter(_lease(uids[one["spec"]["runRef"]["uid"]], one) for one in leases)
    taken = [one for one in stage.items("Resolution") if one["spec"].get("beneficiary", {}).get("uid") in uids]
    found: Object = _without(
        {
            "runs": {what: _status(run["status"]) for what, run in runs.items()},
            "leases": dict(sorted(closed.items())),
            "promises": sorted(_promised(one) for one in reservations),
            "resolutions": [_taken(one) for one in taken],
        },
        number,
    )
    return found


def _lease(run: str, one: Object) -> str:
    return f"{run} {one['status']['closureReason']}"


def _undone(lease: Object, runs: Mapping[str, Object]) -> bool:
    """Whether it is of a start that came to nothing, after which there was another."""
    last = {run["metadata"]["uid"]: int(run["status"].get("attempt", 0)) for run in runs.values()}
    spec, reason = lease["spec"], lease["status"]["closureReason"]
    return bool(reason == "StartFailed" and spec["attempt"] < last[spec["runRef"]["uid"]])


def promises(one: Object) -> list[Object]:
    """That a Reservation has made."""
    found: list[Object] = one.get("status", {}).get("promises", [])
    return found


def _status(status: Object) -> list[object]:
    return [status["phase"], status["reason"], status.get("preemptions", 0), status.get("reservation")]


def _promised(one: Object) -> list[object]:
    status = one["status"]
    made = [[each["basis"], each.get("cause", ""), "errorSeconds" in each] for each in promises(one)]
    return [one["spec"]["runRef"]["name"], one["spec"]["gpus"], status["phase"], status["reason"], made]


def _taken(one: Object) -> list[object]:
    cuts = [[cut["name"], cut["gpus"], cut["stage"]] for cut in one["spec"]["cuts"]]
    return [
        one["spec"]["beneficiary"]["name"],
        one["spec"]["trigger"],
        cuts,
        one["status"]["phase"],
        one["status"]["reason"],
    ]


def _without(told: Any, number: int) -> Any:  # noqa: ANN401  # whatever JSON holds
    """The names of its runs end in its number."""
    match told:
        case str():
            return re.sub(rf"-{number}\b", "", told)
        case dict():
            return {_without(key, number): _without(value, number) for key, value in told.items()}
        case list():
            return [_without(one, number) for one in told]
        case _:
            return told
