"""What a credential adds to a handshake or says first, and how carriers combine (C10, C19).

A carrier is a function from a credential's value to the :class:`Carried` that it adds; one that
takes a second argument is given the newest place in the stream with it (C38). Those of the package
are in ``carriers.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, TypeAlias

from rxsocket.auth.certificates import ClientCertificate
from rxsocket.auth.credentials import CredentialValue, for_user
from rxsocket.auth.masks import Mask
from rxsocket.texts import change_texts
from rxsocket.validation import (
    cookie_name,
    cookie_value,
    encodable,
    function,
    header_name,
    header_value,
    is_async,
    is_list,
    is_mapping,
    subprotocol_name,
    takes_also,
)

IN_FIRST_MESSAGE = "in the first message"
"""Where a credential goes that is no part of the handshake."""

Predicate: TypeAlias = Callable[[Any], object]
"""A function of a message; what it returns is taken for true or false."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstMessage:
    """The message that carries a credential, sent before the socket counts as open (C19).

    Attributes:
        message: The message, a secret.
        accepted: Whether a message says that it was accepted; ``None`` if the server says nothing.
        rejected: Whether a message says that it was refused.
        timeout: Seconds to wait for either.
        unanswered: What to say when neither has come in that time.
    """

    message: str | bytes = field(repr=False)
    accepted: Predicate | None = None
    rejected: Predicate | None = None
    timeout: float = 10.0
    unanswered: str = "the server did not accept the credential"


Pairs: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]]
_Checks: TypeAlias = Callable[[str, Any], str]


@dataclass(frozen=True, slots=True, init=False)
class Carried:
    """What a credential adds to a handshake. It never shows (rule C28, secrets).

    What it is made of is checked, so that nothing can be smuggled into a handshake.

    Args:
        query: Query parameters, decoded: a mapping, or pairs.
        headers: Headers: a mapping, or pairs.
        cookies: Cookies: a mapping, or pairs. They go into one ``Cookie`` header, with those of
            ``additional_headers``.
        subprotocols: Subprotocols to offer that hold the credential. When the server chooses one,
            ``Opened.subprotocol`` is ``"***"``.
        fixed: Subprotocols to offer that hold no secret. They are offered first.
        greeting: What to say first over the connection; see ``first_message()``.
        certificate: The certificate of the client; see ``client_certificate()``.

    Raises:
        TypeError: If something in it is not a string.
        ValueError: If something may not stand where it is put (RFC 9110, RFC 6265, RFC 6455).

    Examples:
        >>> def signed(value):
        ...     return Carried(headers={"X-Key": value["key"], "X-Signature": sign(value)})
        >>> Socket(url, auth={"key": "k", "secret": "s"}, carrier=signed)
    """

    query: tuple[tuple[str, str], ...] = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    cookies: tuple[tuple[str, str], ...] = field(repr=False)
    subprotocols: tuple[str, ...] = field(repr=False)
    fixed: tuple[str, ...]
    greeting: FirstMessage | None = field(repr=False)
    certificate: ClientCertificate | None = field(repr=False)

    def __init__(
        self,
        *,
        query: Pairs = (),
        headers: Pairs = (),
        cookies: Pairs = (),
        subprotocols: Iterable[str] = (),
        fixed: Iterable[str] = (),
        greeting: FirstMessage | None = None,
        certificate: ClientCertificate | None = None,
    ) -> None:
        put = object.__setattr__  # it is frozen
        put(self, "fixed", ())  # what shows the frame of an error below needs it
        if query != ():
            query = _pairs("query", query, _parameter, _parameter)
        if headers != ():
            headers = _pairs("headers", headers, header_name, header_value)
        if cookies != ():
            cookies = _pairs("cookies", cookies, cookie_name, cookie_value)
        if subprotocols != ():
            subprotocols = _names("subprotocols", subprotocols)
        put(self, "query", query)
        put(self, "headers", headers)
        put(self, "cookies", cookies)
        put(self, "subprotocols", subprotocols)
        if fixed != ():
            put(self, "fixed", _names("fixed", fixed))
        put(self, "greeting", greeting)
        put(self, "certificate", certificate)

    @property
    def places(self) -> str:
        """Where it goes, in words and without a value."""
        named = (
            ("as the query parameter", self.query),
            ("in the header", self.headers),
            ("in the cookie", self.cookies),
        )
        found = [f"{place} {name!r}" for place, pairs in named for name, _ in pairs]
        parts = list(dict.fromkeys(found))
        if self.subprotocols:
            parts.append("as a subprotocol")
        if self.greeting is not None:
            parts.append(IN_FIRST_MESSAGE)
        if self.certificate is not None:
            parts.append("as the certificate of the client")
        return " and ".join(parts) or "nowhere: carrier= adds nothing for it"

    def merged(self, other: Carried) -> Carried:
        """What this one and another add together.

        Raises:
            ValueError: If both set the same parameter, header or cookie.
        """
        for place in ("query", "headers", "cookies"):
            _no_conflict(place, getattr(self, place), getattr(other, place))
        for one, another in ((self, other), (other, self)):
            if one.cookies and any(name.lower() == "cookie" for name, _ in another.headers):
                raise ValueError(conflict("header 'Cookie'"))
        if self.greeting is not None and other.greeting is not None:
            raise ValueError(conflict("first message"))
        if self.certificate is not None and other.certificate is not None:
            raise ValueError(conflict("certificate"))
        return Carried(
            query=self.query + other.query,
            headers=self.headers + other.headers,
            cookies=self.cookies + other.cookies,
            subprotocols=dict.fromkeys(self.subprotocols + other.subprotocols),
            fixed=dict.fromkeys(self.fixed + other.fixed),
            greeting=self.greeting or other.greeting,
            certificate=self.certificate or other.certificate,
        )


_PLACES = {"query": "query parameter", "headers": "header", "cookies": "cookie"}


def conflict(what: str) -> str:
    return f"carrier: two of the combined carriers set the {what}; say what each carries with only="


def _no_conflict(
    place: str, one: tuple[tuple[str, str], ...], other: tuple[tuple[str, str], ...]
) -> None:
    fold: Callable[[str], str] = str.lower if place == "headers" else str
    taken = {fold(name) for name, _ in one}
    for name, _ in other:
        if fold(name) in taken:
            raise ValueError(conflict(f"{_PLACES[place]} {name!r}"))


def _pairs(
    place: str, given: Pairs, check_name: _Checks, check_value: _Checks
) -> tuple[tuple[str, str], ...]:
    pairs: Any = given.items() if not is_list(given) and is_mapping(given) else given
    if isinstance(pairs, str):
        raise TypeError(f"Carried({place}): pass a mapping or pairs of name and value, not str")
    argument = f"Carried({place})"
    return tuple(
        [
            (check_name(argument, name), check_value(f"Carried({place}[{name!r}])", value))
            for name, value in pairs
        ]
    )


def _names(place: str, given: Iterable[str]) -> tuple[str, ...]:
    if isinstance(given, str):
        raise TypeError(f"Carried({place}): pass a list of names, not str")
    return tuple(subprotocol_name(f"Carried({place})", name) for name in given)


def _parameter(argument: str, text: Any) -> str:
    if not isinstance(text, str):
        raise TypeError(f"{argument}: pass a string, not {type(text).__name__}")
    return encodable(argument, text)


Carrier: TypeAlias = Callable[[CredentialValue], Carried]
"""A function from the value of a credential to what it adds to the handshake."""

ResumingCarrier: TypeAlias = Callable[[CredentialValue, Any], Carried]
"""One that is given the newest place in the stream, too; ``None`` without one (C38).

So is one whose second argument has a default and is called ``cursor``.
"""

AnyCarrier: TypeAlias = Carrier | ResumingCarrier

Only: TypeAlias = str | Iterable[str] | None


class Combinable:
    """A carrier that combines with others, plain functions too: ``query("key") & header()``.

    Each of them is given the credential. Two that set the same parameter, header or cookie are a
    ``ValueError``.

    Args:
        function: The carrier.
        name: How it shows.
        only: The entries of a mapping that it is given; ``None`` for all.
        sets: What it sets whatever it is given, such as ``"header 'Authorization'"``.
        owns: The entries of a mapping that no other carrier is to carry. Where it is combined with
            others, it is given these, and they the rest.
        way: How it carries, which not every transport can: ``"header"``, ``"message"``.
    """

    def __init__(
        self,
        function: AnyCarrier,
        name: str,
        only: frozenset[str] | None = None,
        sets: Iterable[str] = (),
        owns: frozenset[str] = frozenset(),
        way: str = "",
    ) -> None:
        self._ways = frozenset((way,)) if way else frozenset[str]()
        self._function: Callable[..., Carried] = function
        self._takes_cursor = takes_also(function, "cursor")
        self._name = name
        self._only = only
        self._owns = owns
        # With only= two may well take turns: which one sets it is seen when they are asked.
        self._sets = frozenset(sets) if only is None else frozenset[str]()

    @property
    def sets(self) -> frozenset[str]:
        """What it sets whatever it is given."""
        return self._sets

    @property
    def ways(self) -> frozenset[str]:
        """How it carries, as far as not every transport can."""
        return self._ways

    @property
    def owns(self) -> frozenset[str]:
        """The entries of a mapping that no other carrier is to carry."""
        return self._owns

    def __call__(self, value: CredentialValue, cursor: Any = None) -> Carried:
        if self._only is not None and not isinstance(value, str):
            value = {name: entry for name, entry in value.items() if name in self._only}
        return _call(self._function, value, (cursor,) if self._takes_cursor else ())

    def __and__(self, other: AnyCarrier) -> Combinable:
        return _both(self, other)

    def __rand__(self, other: AnyCarrier) -> Combinable:
        return _both(other, self)

    def __repr__(self) -> str:
        return self._name


def carrier(plain: AnyCarrier) -> Combinable:
    """Make a plain function combine with ``&``, also with another plain function.

    Next to ``query()``, ``header()``, ``cookie()`` or ``subprotocol()`` a plain function needs no
    such help.

    Args:
        plain: A function from the value of a credential to :class:`Carried`; or from that and the
            newest place in the stream (rule C38, resuming).

    Raises:
        TypeError: If it is not a function, or an async one.

    Examples:
        >>> @carrier
        ... def signed(value):
        ...     return Carried(headers={"X-Signature": sign(value)})
        >>> Socket(url, auth="abc", carrier=signed & query("key"))
    """
    function("carrier(function)", plain)
    if is_async(plain):
        raise TypeError("carrier(function): pass a plain function; let a provider do what awaits")
    return Combinable(plain, getattr(plain, "__qualname__", type(plain).__name__))


def carry(carrier: AnyCarrier, value: CredentialValue, cursor: Any = None) -> Carried:
    """Call a carrier; whatever it raises, the socket's loop and thread go on.

    Args:
        carrier: The carrier.
        value: The credential's value.
        cursor: The newest place in the stream, for a carrier that takes it (C38).

    Raises:
        TypeError: If it returns something else.
        RuntimeError: If it raised what ends a thread or a task, such as ``SystemExit``.
    """
    if isinstance(carrier, Combinable):
        return carrier(value, cursor)
    return _call(carrier, value, (cursor,) if takes_also(carrier, "cursor") else ())


def _call(
    carrier: Callable[..., Carried], value: CredentialValue, more: tuple[Any, ...]
) -> Carried:
    carried: Any
    try:
        carried = carrier(for_user(value), *more)
    except (Exception, KeyboardInterrupt) as error:
        change_texts(error, Mask.of(value))  # it may quote what it was given
        raise
    except BaseException as error:
        change_texts(error, Mask.of(value))
        raise RuntimeError(f"{type(error).__name__}: {error}") from None
    if not isinstance(carried, Carried):
        raise TypeError(f"carrier(value): return a Carried, not {type(carried).__name__}")
    return carried


def names(argument: str, only: Only) -> frozenset[str] | None:
    """Check which entries of a mapping a carrier is for.

    Raises:
        TypeError: If they are no names.
    """
    if only is None:
        return None
    listed: Any = (only,) if isinstance(only, str) else only
    if not isinstance(listed, Iterable) or isinstance(listed, bytes):
        raise TypeError(f"{argument}(only): pass names of entries, not {type(only).__name__}")
    given: frozenset[Any] = frozenset(listed)  # pyright: ignore[reportUnknownArgumentType]
    for name in given:
        if not isinstance(name, str) or not name:
            raise TypeError(f"{argument}(only): pass names of entries such as 'token'")
    return given


def _both(one: AnyCarrier, other: AnyCarrier) -> Combinable:
    for side in (one, other):
        if not callable(side):
            return NotImplemented

    one_sets, other_sets = (
        side.sets if isinstance(side, Combinable) else frozenset[str]() for side in (one, other)
    )
    if one_sets & other_sets:
        raise ValueError(conflict(min(one_sets & other_sets)))
    return _Combination((*_parts(one), *_parts(other)), one_sets | other_sets)


class _Combination(Combinable):
    """Several carriers, each of which adds what it carries."""

    def __init__(self, parts: tuple[AnyCarrier, ...], sets: frozenset[str]) -> None:
        shown = " & ".join(
            repr(part)
            if isinstance(part, Combinable)
            else getattr(part, "__qualname__", "a carrier")
            for part in parts
        )
        owned = frozenset[str]().union(*map(_owns, parts))
        super().__init__(self._carry, shown, sets=sets, owns=owned)
        self._ways = frozenset[str]().union(*map(_ways, parts))
        self.parts = parts

    def _carry(self, value: CredentialValue, cursor: Any) -> Carried:
        if self.owns and isinstance(value, str):
            entries = ", ".join(map(repr, sorted(self.owns)))
            raise ValueError(
                f"auth: several carriers share it: pass a mapping, whose entries {entries} are not "
                "for the others, instead of a string"
            )
        carried = (carry(part, self._share(part, value), cursor) for part in self.parts)
        return reduce(Carried.merged, carried)

    def _share(self, part: AnyCarrier, value: CredentialValue) -> CredentialValue:
        """What of a value one of them is given."""
        if not self.owns or isinstance(value, str):
            return value
        own = _owns(part)
        return {
            name: entry
            for name, entry in value.items()
            if (name in own if own else name not in self.owns)
        }


def _parts(side: AnyCarrier) -> tuple[AnyCarrier, ...]:
    return side.parts if isinstance(side, _Combination) else (side,)


def _ways(side: AnyCarrier) -> frozenset[str]:
    return side.ways if isinstance(side, Combinable) else frozenset[str]()


def _owns(side: AnyCarrier) -> frozenset[str]:
    return side.owns if isinstance(side, Combinable) else frozenset[str]()
