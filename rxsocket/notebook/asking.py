"""Asking for a secret in a notebook, so that no cell holds it (C28)."""

from __future__ import annotations

from getpass import getpass

from rxsocket.auth.credentials import Secret
from rxsocket.validation import instance


def ask(name: str) -> Secret:
    """Prompt for a secret without echo; in a notebook, in a field under the cell.

    A saved notebook does not hold it: it is in no cell, output or repr.

    Args:
        name: The text of the prompt.

    Returns:
        The secret, for ``auth`` or for an entry of it.

    Raises:
        TypeError: If ``name`` is not a string.
        ValueError: If nothing was typed.

    Examples:
        >>> socket = Socket(url, auth={"token": ask("token")})
    """
    text = getpass(f"{instance('ask(name)', name, str, 'a string')}: ")
    if not text:
        raise ValueError(f"ask({name!r}): nothing was typed; run the cell again")
    return Secret(text)
