"""Nonces of draws: each is bound, by its SHA-256, before the draw that reveals it, and follows from one secret."""

from __future__ import annotations

import hmac
from hashlib import sha256

import attrs


def commitment_of(nonce: str) -> str:
    """What binds a nonce: SHA-256 of its hex text, as hex."""
    return sha256(nonce.encode()).hexdigest()


@attrs.frozen(kw_only=True)
class Nonces:
    """root: 32 secret bytes, as hex. One that is revealed tells nothing of the others: it is an HMAC.

    Since each follows from the root and its number, nothing has to be written for the next one, and no crash loses it.
    """

    root: str = attrs.field(repr=False)

    def nonce(self, number: int) -> str:
        """Of the resolution with that number, as hex: HMAC-SHA256 of the number in decimal."""
        return hmac.new(bytes.fromhex(self.root), str(number).encode(), "sha256").hexdigest()

    def commitment(self, number: int) -> str:
        return commitment_of(self.nonce(number))


def played(seed: str) -> Nonces:
    """For simulations and tests: the same seed, the same nonces."""
    return Nonces(root=sha256(f"runs.dev/played|{seed}".encode()).hexdigest())


@attrs.frozen(kw_only=True)
class Chain:
    """Where the resolutions of an installation are. number: of the last one; commitment: what binds the next nonce.

    commitment is empty before an installation made its first.
    """

    number: int = 0
    commitment: str = ""
