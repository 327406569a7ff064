"""Keys and certificates as PEM: read, and made. The only importer of `cryptography`."""

from __future__ import annotations

import ipaddress
import ssl
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

import attrs
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from runs_core.cluster.kube.rights import AUTHORITY

BACKDATED = timedelta(minutes=5)
"""A certificate is good since a little before it was made: clocks differ."""


@attrs.frozen(kw_only=True)
class Pair:
    """A certificate, with the chain behind it if any, and its private key. ValueError: no PEM, or not each other's."""

    certificate: str
    key: str = attrs.field(repr=False)

    def __attrs_post_init__(self) -> None:
        encoding = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        if self.private.public_key().public_bytes(*encoding) != self.leaf.public_key().public_bytes(*encoding):
            raise ValueError("the key is not the certificate's")

    @property
    def begins(self) -> datetime:
        return self.leaf.not_valid_before_utc

    @property
    def ends(self) -> datetime:
        """From then on nobody accepts it."""
        return self.leaf.not_valid_after_utc

    @property
    def hosts(self) -> tuple[str, ...]:
        """DNS names and IP addresses that it is good for, sorted."""
        try:
            found = self.leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            return ()
        return tuple(sorted(str(name.value) for name in found if isinstance(name, x509.DNSName | x509.IPAddress)))

    @property
    def made_here(self) -> bool:
        """Whether its key is of the kind that `authority` makes, and so can sign."""
        return isinstance(self.private, ec.EllipticCurvePrivateKey)

    def signed(self, other: Pair) -> bool:
        """Whether the other was issued by this one."""
        try:
            other.leaf.verify_directly_issued_by(self.leaf)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return True

    def context(self) -> ssl.SSLContext:
        """For a server. The standard library reads keys from files only: they exist while they are read."""
        found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        found.minimum_version = ssl.TLSVersion.TLSv1_2
        with tempfile.TemporaryDirectory(prefix="runs-") as folder:  # readable by its owner only
            path = Path(folder) / "pair.pem"
            path.write_text(f"{self.certificate}\n{self.key}", encoding="ascii")
            found.load_cert_chain(path)
        return found

    @cached_property
    def leaf(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.certificate.encode())

    @cached_property
    def private(self) -> PrivateKeyTypes:
        try:
            return serialization.load_pem_private_key(self.key.encode(), password=None)
        except (TypeError, UnsupportedAlgorithm) as error:
            raise ValueError(f"the key cannot be used: {error}") from error


def authority(now: datetime, life: timedelta) -> Pair:
    """A certificate that signs others, and is trusted because it is named as trusted."""
    key = ec.generate_private_key(ec.SECP256R1())
    word = x509.random_serial_number() % 16**12  # two of one name would be told apart by their keys alone
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{AUTHORITY} {word:012x}")])
    public = key.public_key()
    usage = x509.KeyUsage(
        key_cert_sign=True,
        crl_sign=True,
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    built = (
        _draft(name, name, public, (now, now + life))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )
    return _pair(built.sign(key, hashes.SHA256()), key)


def serving(signer: Pair, hosts: Sequence[str], now: datetime, life: timedelta) -> Pair:
    """A certificate for a server of these names and addresses. It ends with its signer at the latest."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "runs webhook")])
    signing = signer.private
    if not isinstance(signing, ec.EllipticCurvePrivateKey):
        raise TypeError(f"an authority's key is a {type(signing).__name__}, want one of `authority`")
    built = (
        _draft(name, signer.leaf.subject, key.public_key(), (now, min(now + life, signer.ends)))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False)
    )
    return _pair(built.sign(signing, hashes.SHA256()), key)


def _draft(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, life: tuple[datetime, datetime]
) -> x509.CertificateBuilder:
    now, end = (moment.astimezone(UTC).replace(microsecond=0) for moment in life)
    return x509.CertificateBuilder(
        subject_name=subject,
        issuer_name=issuer,
        public_key=key,
        serial_number=x509.random_serial_number(),
        not_valid_before=now - BACKDATED,
        not_valid_after=end,
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    return Pair(
        certificate=certificate.public_bytes(serialization.Encoding.PEM).decode(),
        key=key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
    )
