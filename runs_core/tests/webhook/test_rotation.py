"""Certificates that are made, kept, and renewed long before anybody refuses them, by a virtual clock."""

from __future__ import annotations

import base64
import ssl
from datetime import UTC, datetime, timedelta

import attrs
import pytest

from runs_core.serve.webhook.issue import BACKDATED, Pair, authority, serving
from runs_core.serve.webhook.rotation import AUTHORITY_LIFE, SERVING_LIFE, SETTLED, Held, held_in, renewed, trusted_in

START = datetime(2026, 1, 31, 8, tzinfo=UTC)
HOSTS = ("127.0.0.1", "runs-webhook.runs-system.svc")
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def first() -> Held:
    return renewed(None, START, HOSTS, None)


def everything(held: Held) -> frozenset[str]:
    """What configurations trust once this is known."""
    return trusted_in(held.bundle)


def test_the_first_certificate_is_signed_by_the_first_authority() -> None:
    held = first()
    assert len(held.authorities) == 1
    assert held.authorities[0].signed(held.serving)
    assert held.serving.hosts == HOSTS
    assert (held.serving.begins, held.serving.ends) == (START - BACKDATED, START + SERVING_LIFE)


def test_nothing_is_renewed_before_it_is_due() -> None:
    held = first()
    for days in range(19):
        assert renewed(held, START + days * DAY, HOSTS, everything(held)) == held


def test_a_certificate_is_renewed_at_two_thirds_of_its_life() -> None:
    held = first()
    later = renewed(held, START + SERVING_LIFE * 2 / 3, HOSTS, everything(held))
    assert later.serving != held.serving
    assert later.authorities == held.authorities
    assert held.authorities[0].signed(later.serving)


def test_another_address_needs_another_certificate() -> None:
    held = first()
    later = renewed(held, START + MINUTE, ("10.0.0.5",), everything(held))
    assert later.serving.hosts == ("10.0.0.5",)
    assert renewed(held, START, tuple(reversed(HOSTS)), everything(held)) == held


def due(held: Held) -> datetime:
    return START + AUTHORITY_LIFE * 2 / 3


def test_a_new_authority_is_trusted_before_it_signs() -> None:
    held = first()
    named = renewed(held, due(held), HOSTS, everything(held))
    assert len(named.authorities) == 2
    assert named.authorities[0].signed(named.serving)
    soon = renewed(named, due(held) + SETTLED - MINUTE, HOSTS, everything(named))
    assert soon == named
    settled = renewed(named, due(held) + SETTLED, HOSTS, everything(named))
    assert settled.authorities == named.authorities
    assert settled.authorities[1].signed(settled.serving)


def test_an_authority_that_could_not_be_made_known_does_not_sign() -> None:
    held = first()
    named = renewed(held, due(held), HOSTS, everything(held))
    weeks_later = renewed(named, due(held) + 15 * DAY, HOSTS, everything(held))
    assert named.authorities[0].signed(weeks_later.serving)


def test_the_former_authority_is_trusted_until_it_ends() -> None:
    held = first()
    named = renewed(held, due(held), HOSTS, everything(held))
    last = held.authorities[0].ends
    assert len(renewed(named, last - MINUTE, HOSTS, everything(named)).authorities) == 2
    after = renewed(named, last, HOSTS, everything(named))
    assert after.authorities == named.authorities[1:]


def test_after_a_long_sleep_everything_is_made_anew() -> None:
    held = first()
    late = START + 3 * AUTHORITY_LIFE
    anew = renewed(held, late, HOSTS, everything(held))
    assert len(anew.authorities) == 1
    assert anew.authorities != held.authorities
    assert anew.authorities[0].signed(anew.serving)
    assert late < anew.serving.ends


def test_a_certificate_never_outlives_its_authority() -> None:
    short = authority(START, DAY)
    assert serving(short, HOSTS, START, SERVING_LIFE).ends == START + DAY


@pytest.mark.parametrize("every", [timedelta(hours=12), timedelta(days=5)])
def test_in_four_years_there_is_never_a_moment_without_trust(every: timedelta) -> None:
    """At each look, what is shown is good until the next, and signed by what has been known for a while."""
    held = first()
    known = [everything(held)]
    for now in (START + every * step for step in range(1, int(4 * 365 * DAY / every))):
        later = renewed(held, now, HOSTS, known[-1])
        assert later.serving.begins <= now < later.serving.ends - every
        signer = next(one for one in later.authorities if one.signed(later.serving))
        assert signer.certificate in known[-1]
        if later != held:
            known.append(everything(later))
        held = later
    assert 6 <= len(set().union(*known)) <= 7


def test_what_is_kept_reads_back_as_the_same() -> None:
    held = renewed(first(), due(first()), HOSTS, None)
    assert len(held.authorities) == 2
    assert held_in(held.data()) == held


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        ({"ca.key": None}, "ca.key is missing"),
        ({"ca.key": "no key"}, "argument 2 is shorter"),
        ({"ca.crt": "", "ca.key": ""}, "want at least one authority"),
        ({"tls.crt": "no certificate"}, "PEM"),
        ({"tls.key": "no key"}, "PEM|key data"),
        ({"tls.key": "\N{SNOWMAN}"}, "ascii"),
    ],
)
def test_what_is_kept_otherwise_is_refused(damage: dict[str, str | None], why: str) -> None:
    kept = {name: text for name, text in first().data().items() if damage.get(name, text) is not None}
    with pytest.raises(ValueError, match=why):
        held_in({**kept, **{name: encoded(text) for name, text in damage.items() if text is not None}})


def test_a_key_of_another_certificate_is_refused() -> None:
    one, other = authority(START, DAY), authority(START, DAY)
    with pytest.raises(ValueError, match="the key is not the certificate's"):
        Pair(certificate=one.certificate, key=other.key)
    assert not one.signed(other)


def test_a_key_does_not_show_in_what_is_printed() -> None:
    assert "PRIVATE" not in repr(first())


def test_the_standard_library_takes_it() -> None:
    now = datetime.now(UTC)
    held = renewed(None, now, HOSTS, None)
    held.serving.context()
    ssl.create_default_context(cadata=held.bundle)


def test_a_pair_is_a_value() -> None:
    pair = authority(START, DAY)
    assert attrs.evolve(pair) == pair
    assert pair.hosts == ()
