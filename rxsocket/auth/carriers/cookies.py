"""The credential in cookies (RFC 6265)."""

from __future__ import annotations

from rxsocket.auth.carriers.carried import Carried
from rxsocket.auth.carriers.combining import Combinable, Only, names
from rxsocket.auth.carriers.entries import texts
from rxsocket.auth.carriers.syntax import cookie_name, cookie_value
from rxsocket.auth.credentials import CredentialValue

__all__ = ["cookie", "with_cookies"]

_Headers = tuple[tuple[str, str], ...]


def cookie(name: str = "token", *, only: Only = None) -> Combinable:
    """Carry the credential in cookies, for servers that know a session by its cookie.

    A string becomes the cookie ``name``; every entry of a mapping becomes a cookie of its own. They
    go into one ``Cookie`` header, together with those of ``additional_headers``; of a cookie that
    both have, the credential's counts.

    Args:
        name: Name of the cookie for a credential that is a string.
        only: The entries of a mapping that go this way; default all.

    Raises:
        ValueError: If ``name`` is no name of a cookie. White space, quotes, commas, semicolons and
            backslashes in a *value* are one, too: which encoding the server undoes, only you know.

    Examples:
        >>> Socket(url, auth="abc", carrier=cookie("session"))        # Cookie: session=abc
        >>> Socket(url, auth={"sid": "abc", "csrf": "x"}, carrier=cookie())
    """
    cookie_name("cookie(name)", name)

    def carry(value: CredentialValue) -> Carried:
        return Carried(cookies=[_cookie(*entry) for entry in texts(value, name)])

    def _cookie(given: str, text: str) -> tuple[str, str]:
        argument = f"auth[{given!r}]"
        return cookie_name(argument, given), cookie_value(argument, text)

    sets = [f"cookie {name!r}"]
    return Combinable(carry, f"cookie({name!r})", names("cookie", only), sets)


def with_cookies(headers: _Headers, cookies: tuple[tuple[str, str], ...]) -> _Headers:
    """Headers with cookies among them: one ``Cookie`` header (RFC 6265, section 5.4).

    A cookie that is in both is taken from ``cookies``.
    """
    replaced = {name for name, _ in cookies}
    there = "; ".join(value for name, value in headers if name.lower() == "cookie")
    pairs = [pair.strip() for pair in there.split(";")]
    kept = [pair for pair in pairs if pair and pair.partition("=")[0].strip() not in replaced]
    others = tuple(pair for pair in headers if pair[0].lower() != "cookie")
    return (*others, ("Cookie", "; ".join([*kept, *(f"{name}={text}" for name, text in cookies)])))
