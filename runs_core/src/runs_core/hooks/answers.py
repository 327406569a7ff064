"""What a plugin may answer. Each function returns the answer in its proper form, or raises Unfit with what is wrong.

They run under the watchdog, because what a plugin returns may be a generator, or worse.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from numbers import Real
from typing import Any

from runs_core.decide.advice import Rank
from runs_core.values.decision import Hold
from runs_core.values.demand import Demand
from runs_core.values.funding import Gives, Takes, Told
from runs_core.values.lease import Payer
from runs_core.values.meta import Key
from runs_core.values.quantity import counted
from runs_core.values.run import MOST_GPUS, Run

MOST_HOLDS = 16
MOST_TEXT = 1000
MOST_LINES = 50
MOST_MOMENTS = 1000
MOST_RANKS = 8
MOST_SCORE = 1e9
MOST_SHOWN = 80
MOST_KEYS = 1_000_000
SHORTEST_WAIT = timedelta(seconds=1)
_CODE = re.compile(r"[A-Z][A-Za-z0-9]{0,62}")


class Unfit(Exception):
    """The plugin answered what the hook's contract does not allow."""


def holds(answer: object, now: datetime) -> tuple[Hold, ...]:
    """Sorted, each once."""
    if answer is None:
        return ()
    found = {_hold(one, now) for one in few(answer, MOST_HOLDS, "holds")}
    return tuple(sorted(found, key=lambda hold: (hold.code, hold.message, hold.until or now)))


def _hold(hold: object, now: datetime) -> Hold:
    if not isinstance(hold, Hold):
        raise Unfit(f"got {kind_of(hold)} among the holds, want Hold(code, message, until)")
    code: object = hold.code
    if not isinstance(code, str) or _CODE.fullmatch(code) is None:
        raise Unfit(f"got the code {shown(code)}, want one word such as OutsideOfficeHours")
    until = None if hold.until is None else not_at_once(moment(hold.until, now), now)
    return Hold(str(code), line(hold.message), until)


def demand(answer: object, run: Run) -> Demand | None:
    """Whole groups, or whole pods where there are no groups."""
    if answer is None:
        return None
    if not isinstance(answer, Demand):
        raise Unfit(f"got {kind_of(answer)}, want Demand(least=…, most=…, step=…)")
    unit = run.spec.topology.group_gpus or run.spec.resources.gpus_per_pod
    for name, gpus in (("least", answer.least), ("most", answer.most), ("step", answer.step)):
        if type(gpus) is not int or not 0 < gpus <= MOST_GPUS or gpus % unit:
            raise Unfit(f"got {name}={shown(gpus)}, want a multiple of {unit} from {unit} to {MOST_GPUS}")
    if answer.least > answer.most:
        raise Unfit(f"got least={answer.least} and most={answer.most}, want no more at least than at most")
    return answer


def scores(answer: object, wanted: int) -> tuple[float, ...] | None:
    """One finite number for each of the wanted domains."""
    if answer is None:
        return None
    found = tuple(_number(one) for one in few(answer, wanted, "scores"))
    if len(found) != wanted:
        raise Unfit(f"got {counted(len(found), 'score')} for {counted(wanted, 'domain')}")
    return found


def _number(value: object) -> float:
    if type(value) is not float and (isinstance(value, bool) or not isinstance(value, Real)):
        raise Unfit(f"got {kind_of(value)}, want a number")
    number = float(value)
    if not abs(number) <= MOST_SCORE:
        raise Unfit(f"got {number}, want a number within ±{MOST_SCORE:g}")
    return number


def rank(answer: object) -> Rank | None:
    """A key that compares with every other one: numbers before texts, shorter before longer."""
    if answer is None:
        return None
    if not isinstance(answer, tuple):
        raise Unfit(f"got {kind_of(answer)}, want a tuple of numbers and texts")
    key: list[float | int | str] = []
    for part in few(answer, MOST_RANKS, "parts"):
        match part:
            case str():
                key += (1, str(part))
            case bool():
                raise Unfit("got bool, want a number or a text")
            case int() | float() if math.isfinite(part):
                key += (0, part)
            case _:
                raise Unfit(f"got {shown(part)}, want a finite number or a text")
    return (*key, -1)


def moments(answer: object, now: datetime) -> datetime | None:
    """The earliest."""
    if answer is None:
        return None
    soonest = min((moment(one, now) for one in few(answer, MOST_MOMENTS, "moments")), default=None)
    return None if soonest is None else not_at_once(soonest, now)


def not_at_once(moment: datetime, now: datetime) -> datetime:
    """Who names the next instant each time it is asked is asked each SHORTEST_WAIT: nothing else would be decided."""
    return max(moment, now + SHORTEST_WAIT)


def moment(value: object, now: datetime) -> datetime:
    """One, after now."""
    if not isinstance(value, datetime):
        raise Unfit(f"got {kind_of(value)}, want a datetime")
    if value.utcoffset() is None:
        raise Unfit(f"got {value}, which has no zone; want one such as datetime(…, tzinfo=UTC)")
    found = value.astimezone(UTC)
    found = datetime.combine(found.date(), found.time(), UTC)
    if found <= now:
        raise Unfit(f"got {found}, which is not after now ({now})")
    return found


def lines(answer: object) -> tuple[str, ...]:
    """Lines of plain text."""
    return () if answer is None else tuple(line(one) for one in few(answer, MOST_LINES, "lines"))


def line(value: object) -> str:
    """One line of plain text."""
    if not isinstance(value, str) or not value:
        raise Unfit(f"got {shown(value)}, want a line of text")
    if len(value) > MOST_TEXT:
        raise Unfit(f"got {len(value)} characters, want at most {MOST_TEXT}")
    if not value.isprintable():
        raise Unfit(f"got {shown(value)}, want one line without control characters")
    return str(value)


def keys(answer: object) -> Sequence[Told]:
    """Keys of runs: (namespace, name); and envelopes."""
    found: tuple[Any, ...] = answer if type(answer) is tuple and len(answer) <= MOST_KEYS else _listed(answer)
    for one in found:
        kind = type(one)  # the most of them first, and cheap
        if kind is Key and type(one[0]) is type(one[1]) is str:
            continue
        if (kind is Gives or kind is Takes) and type(one[0]) is Payer and _is_move(one):
            continue
        if not (is_key(one) or is_payer(one) or _is_move(one)):
            raise Unfit(f"got {shown(one)}, want the Key of a run, a Payer, Gives, or Takes")
    return found


def is_key(value: object) -> bool:
    """Namespace and name, as texts: what else orders and is found as one."""
    return isinstance(value, Key) and type(value[0]) is type(value[1]) is str


def is_payer(value: object) -> bool:
    """Likewise."""
    return isinstance(value, Payer) and type(value.budget) is type(value.envelope) is str


def _is_move(value: object) -> bool:
    return isinstance(value, Gives | Takes) and is_payer(value.payer) and type(value.gpus) is int and value.gpus >= 0


def _listed(answer: object) -> tuple[object, ...]:
    if isinstance(answer, (str, bytes)) or not isinstance(answer, Iterable):
        raise Unfit(f"got {kind_of(answer)}, want the keys of runs")
    return tuple(islice(answer, MOST_KEYS))


def nothing(_: object) -> None:
    """Whatever is returned, nobody reads it."""


def few(answer: object, most: int, what: str) -> Sequence[object]:
    """Its elements, if they are not more than `most`; looks at one more at most."""
    if type(answer) is tuple and len(answer) <= most:
        return answer
    if isinstance(answer, (str, bytes, dict)) or not isinstance(answer, Iterable):
        raise Unfit(f"got {kind_of(answer)}, want a sequence of {what}, or None")
    found = tuple(islice(answer, most + 1))
    if len(found) > most:
        raise Unfit(f"got more than {most} {what}")
    return found


def kind_of(value: object) -> str:
    """Its type in a message."""
    return type(value).__name__


def shown(value: object) -> str:
    """A value in a message."""
    text = repr(value[:60]) if isinstance(value, str) else repr(value)
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 3]}..."
