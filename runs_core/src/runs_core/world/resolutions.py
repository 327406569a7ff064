"""The resolutions that are kept, and where their chain is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar, assert_never

from runs_core.values.change import ChainSeen, NoncesSeen, ResolutionGone, ResolutionSeen
from runs_core.values.meta import Key
from runs_core.values.nonces import Chain, Nonces
from runs_core.values.resolution import Cut, Resolution, ResolutionPhase

T = TypeVar("T")
Kept = ResolutionSeen | ResolutionGone | ChainSeen | NoncesSeen


class Resolutions:
    """nonces: what draws are made from; None: who looks here decides nothing."""

    def __init__(self) -> None:
        self._by_name: dict[str, Resolution] = {}
        self._activating: dict[Key, dict[int, Resolution]] = {}
        self._by_hand: dict[str, Resolution] = {}
        self._cutting: dict[Key, dict[int, tuple[Resolution, Cut]]] = {}
        self._chain = Chain()
        self.nonces: Nonces | None = None

    def get(self, name: str) -> Resolution | None:
        return self._by_name.get(name)

    def all(self) -> Sequence[Resolution]:
        """By number."""
        return sorted(self._by_name.values(), key=lambda resolution: resolution.spec.number)

    def activating(self, run: Key) -> Resolution | None:
        """The last one that is being carried out for this run."""
        found = self._activating.get(run)
        return found[max(found)] if found else None

    def cutting(self, run: Key) -> Sequence[tuple[Resolution, Cut]]:
        """Those that are being carried out and cut this run, by number, with what they say of it."""
        found = self._cutting.get(run)
        return [found[number] for number in sorted(found)] if found else ()

    def by_hand(self) -> Sequence[Resolution]:
        """Those without a beneficiary that are being carried out, by name."""
        return [self._by_hand[name] for name in sorted(self._by_hand)]

    @property
    def chain(self) -> Chain:
        """The last resolution's number and what it bound, whether its record is still there or not. O(those kept)."""
        seen = (
            Chain(number=resolution.spec.number, commitment=resolution.spec.next_commitment)
            for resolution in self._by_name.values()
        )
        return max((self._chain, *seen), key=lambda chain: chain.number)

    def inverse(self, change: Kept) -> Kept | None:
        """What undoes it; None: it changes nothing."""
        match change:
            case ResolutionSeen(resolution):
                old = self._by_name.get(resolution.name)
                if old == resolution:
                    return None
                return ResolutionGone(resolution.name) if old is None else ResolutionSeen(old)
            case ResolutionGone(name):
                old = self._by_name.get(name)
                return None if old is None else ResolutionSeen(old)
            case ChainSeen(chain):
                return ChainSeen(self._chain) if chain != self._chain else None
            case NoncesSeen(nonces):
                return NoncesSeen(self.nonces) if nonces != self.nonces else None
            case _:
                assert_never(change)

    def put(self, change: Kept) -> Iterable[Key]:
        """Take it up; returns the runs that it is about, which may have something to do."""
        match change:
            case ResolutionSeen(resolution):
                old, self._by_name[resolution.name] = self._by_name.get(resolution.name), resolution
                self._follow(old, resolution)
                return {*_about(resolution), *(_about(old) if old is not None else ())}
            case ResolutionGone(name):
                gone = self._by_name.pop(name)
                self._follow(gone, None)
                return _about(gone)
            case ChainSeen(chain):
                self._chain = chain
                return ()
            case NoncesSeen(nonces):
                self.nonces = nonces
                return ()
            case _:
                assert_never(change)

    def _follow(self, old: Resolution | None, new: Resolution | None) -> None:
        """old: as it was, new: as it is; None: not there."""
        for one, there in ((old, False), (new, True)):
            if one is None or one.status.phase is not ResolutionPhase.ACTIVATING:
                continue
            for cut in one.spec.cuts:
                _keep(self._cutting, cut.run, one.spec.number, (one, cut) if there else None)
            if one.spec.beneficiary is None:
                if there:
                    self._by_hand[one.name] = one
                else:
                    self._by_hand.pop(one.name, None)
                continue
            _keep(self._activating, one.spec.beneficiary.run, one.spec.number, one if there else None)

    def everything(self) -> Iterator[Kept]:
        """Changes that would build it from nothing."""
        yield from (ResolutionSeen(resolution) for resolution in self.all())
        yield ChainSeen(self._chain)
        yield NoncesSeen(self.nonces)


def _keep(into: dict[Key, dict[int, T]], run: Key, number: int, one: T | None) -> None:
    """None: it is no more."""
    of_run = into.setdefault(run, {})
    if one is not None:
        of_run[number] = one
    else:
        of_run.pop(number, None)
    if not of_run:
        del into[run]


def _about(resolution: Resolution) -> tuple[Key, ...]:
    to = resolution.spec.beneficiary
    return (*(cut.run for cut in resolution.spec.cuts), *(() if to is None else (to.run,)))
