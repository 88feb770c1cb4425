"""What ``dir()`` and ``help()`` show of a class that is an Observable."""

from __future__ import annotations

from abc import ABCMeta
from collections.abc import Iterable

MIXINS = "reactivex.observable.mixins"


class ListsItsOwn(ABCMeta):
    """The class of such a class: it lists what rxsocket adds, and leaves out RxPY's operators.

    They are methods of each Observable, some 130 of them, and ``help(reactivex.Observable)`` has
    them. An instance has and lists all of them.
    """

    def __dir__(cls) -> Iterable[str]:
        theirs: set[str] = set()
        own: set[str] = set()
        for base in cls.__mro__:
            (theirs if base.__module__.startswith(MIXINS) else own).update(vars(base))
        return sorted(set(super().__dir__()) - (theirs - own))
