"""`runs resolve run`: GPUs taken back because an administrator wants them free."""

from __future__ import annotations

import time
import uuid

import attrs

from runs_cli.actions.plan import cut_table
from runs_cli.answer import Block, Fields, Notes, answer
from runs_cli.failures import Stop, nearest
from runs_cli.options import asked
from runs_cli.session import opened
from runs_cli.session.port import CUTS, FLEET, Session
from runs_cli.words import NONE, moment
from runs_core.schema.requests import annotation_of
from runs_core.serve.views.by_hand import ByHand, by_hand
from runs_core.serve.views.plain import plain
from runs_core.values.quantity import counted
from runs_core.values.request import Request
from runs_core.world.flavors import FlavorFleet

SHOWN_DOMAINS = 5
ANSWERED_SECONDS = 30.0
"""A live scheduler that has not answered by then will not: it looks at each change of a node at once."""


def run(*, flavor: str, gpus: int, domain: str | None, apply: bool) -> int:
    with opened(asked(), (*FLEET, *CUTS)) as session:
        fleet = _fleet(session, flavor)
        request = Request(
            uid=str(uuid.uuid4()), flavor=flavor, gpus=gpus, domain=_domain(fleet, domain), at=session.now
        )
        found = by_hand(request, session.foresee(request))
        if apply and found.missing:
            found = attrs.evolve(found, resolution=_asked(session, _node(fleet, request), request))
        answer(
            session.asked,
            plain=lambda: plain(found),
            names=lambda: [found.resolution] if found.resolution else [str(one.run) for one in found.cuts],
            blocks=lambda: _blocks(found),
        )
    return 0 if found.scope and (found.resolution or not (apply and found.missing)) else 1


def _fleet(session: Session, flavor: str) -> FlavorFleet:
    found = session.world.fleet.flavors.get(flavor)
    if found is None or not found.nodes:
        raise Stop(f"there is no flavor {flavor}{nearest(flavor, session.flavors())}; `runs top` shows the fleet")
    return found


def _domain(fleet: FlavorFleet, name: str | None) -> str:
    """In full. Stop: no domain, or several, are called that."""
    if name is None:
        return ""
    known = sorted(str(key) for key in fleet.domains)
    found = [one for one in known if name in (one, one.rsplit("/", 1)[1])]
    if len(found) == 1:
        return found[0]
    if found:
        raise Stop(f"several domains are called {name}: name one of {', '.join(found)}")
    some = ", ".join(known[:SHOWN_DOMAINS]) + (", …" if len(known) > SHOWN_DOMAINS else "")
    raise Stop(f"there is no domain {name}{nearest(name, known)}; the flavor has {some}")


def _node(fleet: FlavorFleet, request: Request) -> str:
    """The one that carries the request: the first of the domain, or of the flavor."""
    return min(
        state.name
        for key, domain in fleet.domains.items()
        if request.domain in ("", str(key))
        for state in domain.states
        if state.node is not None
    )


def _asked(session: Session, node: str, request: Request) -> str | None:
    """The resolution that came of it; None: none did, since something has changed meanwhile."""
    session.ask(node, annotation_of(request))
    try:
        until = time.monotonic() + ANSWERED_SECONDS
        while (found := session.answer_to(request.uid)) is None and not session.at_once and time.monotonic() < until:
            session.pause(1.0)
            time.sleep(1.0)
        return None if found is None else found.name
    finally:
        session.ask(node, None)


def _blocks(found: ByHand) -> list[Block]:
    pairs = [
        ("Wanted", f"{counted(found.gpus, 'GPU')} of {found.flavor}"),
        ("Scope", ", ".join(found.scope) or NONE),
        ("Missing", NONE if found.missing is None else f"{found.missing} of them"),
        ("Resolution", found.resolution or NONE),
    ]
    blocks: list[Block] = [Fields(pairs=[pair for pair in pairs if pair[1] != NONE])]
    if found.cuts and found.resolution is None:
        blocks.append(cut_table(found.cuts))
    return [*blocks, Notes(title=_verdict(found), lines=_hints(found))]


def _verdict(found: ByHand) -> str:
    if not found.scope:
        return "Nobody was cut: whoever may be cut, there would not be enough"
    if not found.missing:
        return "Nobody was cut: as many are free"
    return "Taken back" if found.resolution is not None else "Nothing was changed"


def _hints(found: ByHand) -> list[str]:
    if found.resolution is not None:
        return [
            f"`runs resolve show {found.resolution}` says who was cut, `runs resolve verify {found.resolution}` why"
        ]
    if found.spared is not None and not found.scope:
        safe = counted(found.spared.gpus, "GPU")
        return [f"{safe} are held by runs that are safe, the first until {moment(found.spared.until)}"]
    if found.scope and found.missing:
        return [
            "--apply asks for it; who is drawn nobody can know before. Cordon the nodes first to keep what comes free"
        ]
    return []
