"""Certificates for tests, with their keys."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme
from cryptography.hazmat.primitives import serialization

PASSWORD = "open sesame 4711"


@dataclass(frozen=True)
class Issued:
    """What a client has, as texts in PEM."""

    certificate: str
    key: str

    @property
    def encrypted_key(self) -> str:
        """The key, which ``PASSWORD`` opens."""
        key = serialization.load_pem_private_key(self.key.encode(), None)
        encryption = serialization.BestAvailableEncryption(PASSWORD.encode())
        kinds = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        return key.private_bytes(*kinds, encryption).decode()

    def write(self, folder: Path) -> dict[str, str]:
        """Write both into files; return the credential that names them."""
        paths = {"certificate": folder / "client.pem", "key": folder / "client.key"}
        for name, path in paths.items():
            path.write_text(getattr(self, name))
        return {name: str(path) for name, path in paths.items()}

    @property
    def value(self) -> dict[str, str]:
        """The credential that holds both."""
        return {"certificate": self.certificate, "key": self.key}

    @property
    def secret_lines(self) -> list[str]:
        """What of it nobody may see."""
        return [line for line in self.key.splitlines()[1:-1] if len(line) >= 8]


def issue(authority: trustme.CA, name: str) -> Issued:
    """A certificate of a client, which is called by an address of mail."""
    made = authority.issue_cert(name)
    chain = "".join(block.bytes().decode() for block in made.cert_chain_pems)
    return Issued(chain, made.private_key_pem.bytes().decode())


def serving(authority: trustme.CA) -> ssl.SSLContext:
    """The context of a server on this machine that lets in whom the authority knows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    """The context of a client that trusts such servers."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    return context
