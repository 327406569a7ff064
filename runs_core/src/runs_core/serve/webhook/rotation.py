"""Which certificates there should be now: pure but for the keys that are drawn.

An authority is added to those that are trusted long before it signs: as long as any API server may still hold the
former list, the former one signs. It stays trusted until it ends.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

import attrs

from runs_core.serve.webhook.issue import BACKDATED, Pair, authority, serving

AUTHORITY_LIFE = timedelta(days=365)
SERVING_LIFE = timedelta(days=30)
SETTLED = timedelta(minutes=10)
"""By then every API server has seen a change of the webhook configurations."""
_CERTIFICATES = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.DOTALL)
_KEYS = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.+?-----END [A-Z ]*PRIVATE KEY-----\n?", re.DOTALL)


@attrs.frozen(kw_only=True)
class Held:
    """authorities: oldest first, at least one. serving: what the server shows."""

    authorities: tuple[Pair, ...]
    serving: Pair

    @property
    def bundle(self) -> str:
        """What is to be trusted, as PEM."""
        return "".join(one.certificate for one in self.authorities)

    def data(self) -> dict[str, str]:
        """As the data of a Secret."""
        texts = {
            "ca.crt": self.bundle,
            "ca.key": "".join(one.key for one in self.authorities),
            "tls.crt": self.serving.certificate,
            "tls.key": self.serving.key,
        }
        return {name: base64.b64encode(text.encode()).decode() for name, text in texts.items()}


def held_in(data: Mapping[str, str]) -> Held:
    """The data of a Secret. ValueError: it holds something else."""
    try:
        texts = {name: base64.b64decode(value).decode("ascii") for name, value in data.items()}
        certificates, keys = _CERTIFICATES.findall(texts["ca.crt"]), _KEYS.findall(texts["ca.key"])
        held = Held(
            authorities=tuple(Pair(certificate=one, key=key) for one, key in zip(certificates, keys, strict=True)),
            serving=Pair(certificate=texts["tls.crt"], key=texts["tls.key"]),
        )
    except KeyError as error:
        raise ValueError(f"{error.args[0]} is missing") from error
    if not held.authorities or not all(one.made_here for one in held.authorities):
        raise ValueError("want at least one authority, and each as it is made here")
    return held


def trusted_in(bundle: str) -> frozenset[str]:
    """The certificates of a bundle, each as PEM."""
    return frozenset(_CERTIFICATES.findall(bundle))


def renewed(held: Held | None, now: datetime, hosts: Sequence[str], trusted: Collection[str] | None) -> Held:
    """What should be held from now on; the same if nothing is due.

    hosts: names and addresses that the API server asks at. trusted: authorities that every webhook configuration
    names, as PEM; None: there is no configuration that anything could be in.
    """
    authorities = _authorities(held, now)
    signer = _signer(authorities, now, trusted)
    present = held.serving if held else None
    if present is None or _due(present, now) or not signer.signed(present) or present.hosts != tuple(sorted(hosts)):
        present = serving(signer, hosts, now, SERVING_LIFE)
    return Held(authorities=authorities, serving=present)


def _authorities(held: Held | None, now: datetime) -> tuple[Pair, ...]:
    alive = tuple(one for one in held.authorities if now < one.ends) if held else ()
    return alive if alive and not _due(alive[-1], now) else (*alive, authority(now, AUTHORITY_LIFE))


def _signer(authorities: Sequence[Pair], now: datetime, trusted: Collection[str] | None) -> Pair:
    """The newest that is known to be trusted everywhere; where none is, the one that has been named longest."""
    for one in reversed(authorities):
        if now >= one.begins + BACKDATED + SETTLED and (trusted is None or one.certificate in trusted):
            return one
    return authorities[0]


def _due(pair: Pair, now: datetime) -> bool:
    """At two thirds of its life, which leaves a third for whatever may stand in the way of the next."""
    return now >= pair.begins + (pair.ends - pair.begins) * 2 / 3
