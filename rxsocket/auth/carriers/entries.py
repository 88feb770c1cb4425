"""The entries of a credential, as texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rxsocket.arguments import is_list
from rxsocket.auth.credentials import CredentialValue

__all__ = ["texts"]


def texts(value: CredentialValue, key: str) -> Iterator[tuple[str, str]]:
    """Name and text of each entry.

    A list repeats its name, ``None`` is left out, booleans are ``true`` and ``false``; a string is
    the entry ``key``.
    """
    if isinstance(value, str):
        yield key, value
        return
    for name, entry in value.items():
        for item in _items(entry):
            if item is not None:
                yield name, str(item).lower() if isinstance(item, bool) else str(item)


def _items(entry: Any) -> Sequence[Any]:
    return entry if is_list(entry) else (entry,)
