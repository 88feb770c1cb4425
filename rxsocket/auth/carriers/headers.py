"""The credential in headers."""

from __future__ import annotations

from rxsocket.auth.carriers.carried import Carried
from rxsocket.auth.carriers.combining import Combinable, Only, names
from rxsocket.auth.carriers.entries import texts
from rxsocket.auth.carriers.syntax import header_name, header_value
from rxsocket.auth.credentials import CredentialValue

__all__ = ["header"]


def header(
    name: str = "Authorization",
    scheme: str | None = "Bearer",
    key: str = "token",
    *,
    only: Only = None,
) -> Combinable:
    """Carry the credential in headers of the handshake.

    A string goes into the header ``name``, after ``scheme``. Of a mapping, the entry ``key`` does,
    and every other entry is a header of its own.

    Args:
        name: The header.
        scheme: What stands before the value, such as ``"Bearer"``; ``None`` for the bare value.
        key: The entry of a mapping that goes into that header.
        only: The entries of a mapping that go this way; default all.

    Raises:
        ValueError: If a name or the scheme cannot stand in a header.

    Examples:
        >>> Socket(url, auth="abc", carrier=header())                 # Authorization: Bearer abc
        >>> Socket(url, auth={"token": "abc", "X-Device": "7"}, carrier=header())
        >>> Socket(url, auth={"X-Api-Key": "abc"}, carrier=header())  # X-Api-Key: abc
        >>> Socket(url, auth="abc", carrier=header("X-Api-Key", scheme=None))
    """
    header_name("header(name)", name)
    if scheme is not None:
        header_value("header(scheme)", scheme)

    def carry(value: CredentialValue) -> Carried:
        return Carried(headers=[_header(*entry) for entry in texts(value, key)])

    def _header(given: str, text: str) -> tuple[str, str]:
        if given == key:
            return name, header_value(f"auth[{key!r}]", f"{scheme} {text}" if scheme else text)
        return header_name(f"auth[{given!r}]", given), header_value(f"auth[{given!r}]", text)

    sets = [f"header {name.title()!r}"]
    return Combinable(carry, f"header({name!r})", names("header", only), sets)
