"""A certificate of the client and its key, from files or from PEM (RFC 7468).

OpenSSL reads both from files alone, so PEM that is given as text is put in one: on Linux in one
that has no name and is in memory, elsewhere in one that only this user may read, and for as long as
it is read.
"""

from __future__ import annotations

import os
import re
import ssl
import stat
import tempfile
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

LARGEST = 2**20
"""Bytes of a file; a chain of certificates has a few thousand."""

BOTH = "the certificate and its key"
"""What one path or one text holds where no other is given."""

SHORTEST = 8
"""Characters of a line of a key: a shorter one says too little of it."""

_BEGIN = "-----BEGIN "
_CERTIFICATES = re.compile(
    rb"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----.*?-----END [A-Z0-9 ]+-----", re.DOTALL
)
_KEY = re.compile(
    rb"-----BEGIN (?:[A-Z0-9 ]+ )?PRIVATE KEY-----.*?-----END [A-Z0-9 ]+-----", re.DOTALL
)


def is_pem(text: str) -> bool:
    """Whether a text is PEM itself, and not the path of a file."""
    return text.lstrip().startswith(_BEGIN) and "-----END " in text


def secret_lines(text: str) -> Iterator[str]:
    """The lines of the private keys in a text in PEM, and each key as one line."""
    for block in _KEY.findall(text.encode("utf-8", "replace")):
        lines = [line.strip() for line in block.decode("utf-8", "replace").splitlines()[1:-1]]
        body = [line for line in lines if len(line) >= SHORTEST and ":" not in line]
        yield "".join(body)
        yield from body


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """The certificate of the client, for a handshake of TLS. It never shows (rule C28, secrets).

    Nothing is read before an attempt needs it, so what an attempt sends is what the files hold
    then. Reading them is a matter of a few milliseconds, in which the socket's loop waits.

    Args:
        certificate: A path, or PEM: the certificate, and those that lead to its authority.
        key: A path, or PEM; ``None`` if ``certificate`` holds the key, too.
        password: What the key is encrypted with, if it is.
        entries: What ``certificate`` and ``key`` were given as, for errors.

    Examples:
        >>> def from_vault(value):
        ...     issued = ClientCertificate(value["chain"], value["key"])
        ...     return Carried(certificate=issued)
    """

    certificate: str = field(repr=False)
    key: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    entries: tuple[str, str] = field(
        default=("the certificate", "the key"), repr=False, compare=False
    )

    def load_into(self, context: ssl.SSLContext) -> None:
        """Let a context send it to servers that ask for one.

        Raises:
            ValueError: If there is none, or it cannot be used; the text says why, without a path.
        """
        chain_name, key_name = self.entries
        holds = BOTH if self.key is None else "the certificate"
        chain = _Part.of(chain_name, self.certificate, holds)
        key = chain if self.key is None else _Part.of(key_name, self.key, "the key")
        chain.check(_CERTIFICATES, "certificate")
        key.check(_KEY, "private key")
        if self._password_missing(key):
            raise ValueError("the key is encrypted: pass its password, too")
        failure = self._load(context, chain, key)
        if failure is not None:  # outside of the except above: a chain would show its frames
            raise ValueError(failure)

    def check(self) -> None:
        """Check that it can be used.

        Raises:
            ValueError: As ``load_into`` does.
        """
        self.load_into(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))

    def _password_missing(self, key: _Part) -> bool:
        return self.password is None and b"ENCRYPTED" in key.block(_KEY)

    def _load(self, context: ssl.SSLContext, chain: _Part, key: _Part) -> str | None:
        """Load it; return what is wrong, if anything is."""
        try:
            with ExitStack() as files:
                chain_path, key_path = (
                    files.enter_context(part.as_file()) for part in (chain, key)
                )
                # Without a password OpenSSL would ask for one on the terminal.
                context.load_cert_chain(chain_path, key_path, self.password or "")
        except ssl.SSLError as error:
            return self._what_is_wrong(error, chain, key)
        except OSError as error:
            return f"the certificate cannot be read: {error.strerror or type(error).__name__}"
        except ValueError as error:  # a password that is too long
            return str(error)
        return None

    def _what_is_wrong(self, error: ssl.SSLError, chain: _Part, key: _Part) -> str:
        if error.reason == "KEY_VALUES_MISMATCH":
            return "the key does not belong to the certificate"
        if error.reason and "PEM" not in error.reason:
            return f"the certificate cannot be used: {error.reason}"
        if not _is_readable(chain.content):
            return "the certificate is damaged"
        if b"ENCRYPTED" in key.block(_KEY):
            return "the password does not open the key, or the key is damaged"
        return "the key is damaged"


@dataclass(frozen=True, slots=True)
class _Part:
    """The certificate, or the key.

    Attributes:
        name: What it is called in errors.
        path: Where it is, if it is in a file.
        content: What is there.
    """

    name: str
    path: str | None = field(repr=False)
    content: bytes = field(repr=False)

    @classmethod
    def of(cls, name: str, given: str, holds: str) -> _Part:
        """What was given under a name.

        Args:
            name: The name.
            given: A path, or PEM.
            holds: What it is to hold.
        """
        if is_pem(given):
            return cls(name, None, given.encode())
        try:
            return cls(name, given, _content(given))
        except (OSError, ValueError) as error:
            failure = getattr(error, "strerror", None) or str(error)
        raise ValueError(
            f"{name} cannot be read: {failure}; pass {holds} as the path of a file, or as PEM"
        )

    def check(self, block: re.Pattern[bytes], what: str) -> None:
        if block.search(self.content) is None:
            raise ValueError(f"{self.name}: there is no {what} in PEM in what was given")

    def block(self, block: re.Pattern[bytes]) -> bytes:
        found = block.search(self.content)
        return b"" if found is None else found[0]

    @contextmanager
    def as_file(self) -> Generator[str]:
        """The path of a file that holds it, as it was read."""
        if hasattr(os, "memfd_create") and os.path.isdir("/proc/self/fd"):
            number = os.memfd_create("certificate")
            try:
                os.write(number, self.content)
                yield f"/proc/self/fd/{number}"
            finally:
                os.close(number)
        elif self.path is not None:
            yield self.path
        else:
            with tempfile.TemporaryDirectory() as folder:  # which only this user may enter
                path = os.path.join(folder, "certificate.pem")
                with open(path, "wb") as file:
                    file.write(self.content)
                yield path


def _content(path: str) -> bytes:
    """What a file holds; one that never ends, or is never written, is no file.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is no file of that kind.
    """
    try:
        about = os.stat(path)
    except ValueError:
        raise ValueError("what was given is no path") from None
    if not stat.S_ISREG(about.st_mode):
        raise ValueError("it is no file")
    if about.st_size > LARGEST:
        raise ValueError(f"it has more than {LARGEST:,} bytes")
    with open(path, "rb") as file:
        return file.read(LARGEST)


def _is_readable(content: bytes) -> bool:
    """Whether OpenSSL understands the certificates in it."""
    texts = [block.decode("ascii", "replace") for block in _CERTIFICATES.findall(content)]
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata="\n".join(texts))
    except (ssl.SSLError, ValueError):
        return False
    return True
