"""Carriers that combine with ``&``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from rxsocket.auth.carriers.carried import Carried, conflict
from rxsocket.auth.credentials import CredentialValue
from rxsocket.callables import function, is_async

__all__ = ["Carrier", "Combinable", "Only", "carrier", "carry", "names"]

Carrier: TypeAlias = Callable[[CredentialValue], Carried]
"""A function from the value of a credential to what it adds to the handshake."""

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
    """

    def __init__(
        self,
        function: Carrier,
        name: str,
        only: frozenset[str] | None = None,
        sets: Iterable[str] = (),
    ) -> None:
        self._function = function
        self._name = name
        self._only = only
        # With only= two may well take turns: which one sets it is seen when they are asked.
        self._sets = frozenset(sets) if only is None else frozenset[str]()

    @property
    def sets(self) -> frozenset[str]:
        """What it sets whatever it is given."""
        return self._sets

    def __call__(self, value: CredentialValue) -> Carried:
        """What the value adds to the handshake."""
        if self._only is not None and not isinstance(value, str):
            value = {name: entry for name, entry in value.items() if name in self._only}
        return carry(self._function, value)

    def __and__(self, other: Carrier) -> Combinable:
        return _both(self, other)

    def __rand__(self, other: Carrier) -> Combinable:
        return _both(other, self)

    def __repr__(self) -> str:
        return self._name


def carrier(plain: Carrier) -> Combinable:
    """Let a plain function be combined with ``&``, also with another plain function.

    Next to ``query()``, ``header()``, ``cookie()`` or ``subprotocol()`` a plain function needs no
    such help.

    Args:
        plain: A function from the value of a credential to :class:`Carried`.

    Raises:
        TypeError: If it is none.

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


def carry(plain: Carrier, value: CredentialValue) -> Carried:
    """Ask a carrier.

    Raises:
        TypeError: If it gives something else.
    """
    carried: Any = plain(value)
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


def _both(one: Carrier, other: Carrier) -> Combinable:
    for side in (one, other):
        if not callable(side):
            return NotImplemented

    one_sets, other_sets = (
        side.sets if isinstance(side, Combinable) else frozenset[str]() for side in (one, other)
    )
    if one_sets & other_sets:
        raise ValueError(conflict(min(one_sets & other_sets)))

    def both(value: CredentialValue) -> Carried:
        return carry(one, value).merged(carry(other, value))

    shown = " & ".join(
        repr(side) if isinstance(side, Combinable) else getattr(side, "__qualname__", "a carrier")
        for side in (one, other)
    )
    return Combinable(both, shown, sets=one_sets | other_sets)
