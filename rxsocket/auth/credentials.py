"""Credentials: values that prove who we are, and never show (C6, C11, C28).

What may be passed as ``auth``:

- a mapping of names to texts, numbers, booleans, ``None`` (left out) or lists of these;
- a string;
- ``None``: logged out.

Two credentials are equal when their values are; a fingerprint says so, a keyed hash that means
nothing outside this process. Whether two are of the same identity is another question (C14). What a
server has refused is remembered by its fingerprint, and not dialled again (C9).
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from types import MappingProxyType
from typing import Any, TypeAlias

from rxsocket.auth.certificates import is_pem
from rxsocket.url import Address
from rxsocket.validation import encodable, is_list, is_mapping, one_line

_KEY = secrets.token_bytes(32)


class Secret:
    """A text that does not show when it is printed. It can stand wherever a credential's text can.

    Examples:
        >>> Secret("hunter2")
        Secret(***)
        >>> Secret("hunter2").reveal()
        'hunter2'
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"Secret: pass a string, not {type(text).__name__}")
        self._text = text

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and secrets.compare_digest(
            self._text.encode(), other._text.encode()
        )

    def __hash__(self) -> int:
        return hash(("Secret", self._text))

    def __reduce__(self) -> Any:
        raise TypeError("a Secret is not pickled: it would end up in a file in clear text")


CredentialValue: TypeAlias = str | Mapping[str, Any]
"""What a credential holds: a string, or a read-only mapping."""

Scalar: TypeAlias = str | int | float | bool | Secret | None
AuthValue: TypeAlias = str | Secret | Mapping[str, Scalar | list[Scalar] | tuple[Scalar, ...]]


class _Kind(Enum):
    VALUE = "value"
    ADDRESS = "in the address"
    ANONYMOUS = "anonymous"
    LOGGED_OUT = "logged out"
    PENDING = "none yet"


class Credential:
    """A credential, frozen and masked. It compares by value.

    Attributes:
        fingerprint: Short keyed hash of the value; the same for equal values in this process.
    """

    __slots__ = ("_kind", "_value", "fingerprint")

    def __init__(
        self, value: CredentialValue = "", kind: _Kind = _Kind.VALUE, place: str = ""
    ) -> None:
        self._kind = kind
        self._value = value
        text = (_canonical(value) if kind is _Kind.VALUE else kind.value) + place
        self.fingerprint = hashlib.blake2b(text.encode(), key=_KEY, digest_size=16).hexdigest()

    @classmethod
    def of(cls, value: Any, argument: str = "auth") -> Credential:
        """Check and freeze a value; ``None`` means logged out.

        Raises:
            TypeError: If it, or something in it, is of a type that is not a credential.
            ValueError: If a text in it that is no PEM holds CR, LF or NUL, or a name is empty.
        """
        if isinstance(value, Credential):
            return value
        if value is None:
            return LOGGED_OUT
        if is_mapping(value):
            checked = {_key(argument, k): _entry(argument, k, item) for k, item in value.items()}
            return cls(MappingProxyType(checked))
        if isinstance(value, (str, Secret)):
            return cls(_text(argument, value))
        also = ", an Observable or a function" if argument == "auth" else ""
        raise TypeError(
            f"{argument}: pass a mapping such as {{'token': '...'}}, a string, None (logged out)"
            f"{also}, not {type(value).__name__}"
        )

    @property
    def address(self) -> Address | None:
        """Where it is to be used, if it says so: see :class:`Ticket`."""
        return None

    @property
    def known(self) -> bool:
        """Whether there is something to show to a server."""
        return self._kind in (_Kind.VALUE, _Kind.ADDRESS)

    @property
    def has_value(self) -> bool:
        """Whether there is something for a carrier to carry."""
        return self._kind is _Kind.VALUE

    def reveal(self) -> CredentialValue:
        """The value itself; empty when there is none."""
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Credential) and self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    @property
    def masked(self) -> str:
        """What may be shown of it: the names of its entries."""
        if not self.has_value:
            return self._kind.value
        if isinstance(self._value, str):
            return "***"
        return ", ".join(f"{name}=***" for name in self._value)

    def __repr__(self) -> str:
        return f"Credential({self.masked})"

    def __reduce__(self) -> Any:
        raise TypeError("a Credential is not pickled: it would end up in a file in clear text")


class Ticket(Credential):
    """A credential with the address that it is for, in one answer: for one-time URLs
    (rule C33, an endpoint for each attempt).

    What gives credentials may give one: a function, ``refreshing()``, an Observable, ``set_auth``.
    The attempt that uses it dials its address, in place of ``url``, if its host is allowed; see
    ``endpoint()``. Without ``auth`` the address is the credential: what refuses it refuses that. A
    function given as ``identity=`` gets ``""`` for it; without one, what is pushed so is somebody
    else's (rule C14, identity).

    A function is asked before each attempt, so no address that it gives is dialled twice. One that
    is pushed (``set_auth``, an Observable) or shared (``refreshing()``) is used again until it is
    refused, expires, or another one comes: give such a source addresses that hold for a while.

    Args:
        url: The address, ``ws://``, ``wss://`` or ``unix:``.
        auth: The credential to carry there, if there is one beside the address.

    Raises:
        TypeError: If one of them is of a wrong type.
        ValueError: If it cannot be used; the text says what to pass.

    Examples:
        >>> def open_connection():
        ...     answer = requests.post(API, headers={"Authorization": f"Bearer {token}"}).json()
        ...     return Ticket(answer["url"], auth={"token": answer["token"]})
        >>> Socket("wss://example.com/feed", auth=open_connection)
        >>> Ticket("wss://example.com/link?ticket=s3cret")
        Ticket(wss://example.com/link?ticket=***)
    """

    __slots__ = ("_address",)

    def __init__(self, url: str, auth: AuthValue | None = None) -> None:
        self._address = address = Address.parse(url, "Ticket(url)")
        if auth is None:
            super().__init__(kind=_Kind.ADDRESS, place=address.url)
            return
        if isinstance(auth, Credential):
            raise TypeError(
                "Ticket(auth): pass a mapping such as {'token': '...'} or a string, not Credential"
            )
        super().__init__(Credential.of(auth, "Ticket(auth)").reveal(), place=address.url)

    @property
    def address(self) -> Address:
        """Where it is to be used."""
        return self._address

    def __repr__(self) -> str:
        also = f", {self.masked}" if self.has_value else ""
        return f"Ticket({self._address.shown}{also})"


ANONYMOUS = Credential(kind=_Kind.ANONYMOUS)
"""``auth`` was left out: connect without a credential."""
LOGGED_OUT = Credential(kind=_Kind.LOGGED_OUT)
"""``None`` was set: close, and wait for the next one."""
PENDING = Credential(kind=_Kind.PENDING)
"""The source has not emitted yet."""


def _key(argument: str, key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError(f"{argument}: the names of a mapping are strings, not {type(key).__name__}")
    if not key:
        raise ValueError(f"{argument}: a name of the mapping is empty")
    return one_line(f"{argument} (a name of the mapping)", key)


def _entry(argument: str, key: str, value: Any) -> Any:
    if is_list(value):
        return tuple(_scalar(argument, key, item) for item in value)
    return _scalar(argument, key, value)


def _scalar(argument: str, key: str, value: Any) -> Any:
    name = f"{argument}[{key!r}]"
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, (str, Secret)):
        return _text(name, value)
    raise TypeError(
        f"{name}: pass a string, a number, a boolean, None or a list of these, "
        f"not {type(value).__name__}"
    )


def _text(name: str, value: str | Secret) -> str:
    # A text of a subclass, such as a member of an Enum, is taken for what it holds.
    text = str.__str__(value.reveal() if isinstance(value, Secret) else value)
    if is_pem(text) and "\0" not in text:  # its lines are no lines of a handshake's (C39)
        return encodable(name, text)
    return one_line(name, text)


def _canonical(value: CredentialValue) -> str:
    """A text that is the same for equal values, and different for others.

    What a credential is made of by now is plain: texts, numbers, booleans, ``None``, and tuples of
    these, and no two of them that differ have the same ``repr``.
    """
    return repr(value) if isinstance(value, str) else repr(sorted(value.items()))


def for_user(value: CredentialValue) -> CredentialValue:
    """A value as users' functions get it: a mapping is a ``dict``, which ``json.dumps`` takes."""
    return value if isinstance(value, str) else dict(value)


def texts_in(credential: Credential) -> Iterator[str]:
    """Every text and number in a credential, as a text, and what its address does not show."""
    value = credential.reveal()
    for entry in (value,) if isinstance(value, str) else value.values():
        for item in entry if is_list(entry) else (entry,):
            if isinstance(item, (str, int, float)):
                yield str(item)
    if credential.address is not None:
        yield from (text for _, text in credential.address.secrets)


Identity = Callable[[Any], Any]


def same_identity(old: Credential, new: Credential, identity: Identity | None = None) -> bool:
    """Whether ``new`` is a renewal of ``old``, for the same identity.

    It is when the user's ``identity`` function gives the same for both, or when both are JSON Web
    Tokens with the same ``iss`` and ``sub``. Where that is not known they count as two identities,
    which is the safe answer.
    """
    if not (old.known and new.known):
        return False
    before = _identity_of(old, identity)
    return before is not None and before == _identity_of(new, identity)


def jwt_claims(text: str) -> Mapping[str, Any] | None:
    """The claims of a JSON Web Token, not verified, or ``None`` if the text is none (RFC 7519)."""
    parts = text.split(".")
    if len(parts) != 3:
        return None
    try:
        claims: Any = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):  # no base64, no UTF-8, no JSON, or too deeply nested
        return None
    return claims if is_mapping(claims) else None


def _identity_of(credential: Credential, identity: Identity | None) -> Any:
    if identity is not None:
        return identity(for_user(credential.reveal()))
    for text in texts_in(credential):
        claims = jwt_claims(text)
        if claims is not None and claims.get("sub") is not None:
            return claims.get("iss"), claims["sub"]
    return None


LIMIT = 4096
"""A provider may issue tokens that are refused for weeks: the oldest are forgotten first."""


class CredentialSet:
    """Fingerprints of credentials: of those that were refused, or accepted."""

    def __init__(self) -> None:
        self._known: dict[str, None] = {}

    def remember(self, credential: Credential) -> None:
        """Put one in; the oldest is dropped."""
        self._known[credential.fingerprint] = None
        if len(self._known) > LIMIT:
            del self._known[next(iter(self._known))]

    def __contains__(self, credential: Credential) -> bool:
        return credential.fingerprint in self._known

    def discard(self, credential: Credential) -> None:
        self._known.pop(credential.fingerprint, None)

    def forget(self) -> None:
        self._known.clear()
