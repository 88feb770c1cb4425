"""User name and password of an address, as a header (RFC 7617).

Done here, as only the newest versions of ``websockets`` decode what is percent-encoded.
"""

from __future__ import annotations

from base64 import b64encode
from urllib.parse import unquote_to_bytes, urlsplit

__all__ = ["authorization", "without_user_info"]


def authorization(url: str) -> list[tuple[str, str]]:
    """The header that carries the user info of an address; none if it has none."""
    if "@" not in url or (parts := urlsplit(url)).username is None:
        return []
    name, password = (unquote_to_bytes(part) for part in (parts.username, parts.password or ""))
    return [("Authorization", f"Basic {b64encode(name + b':' + password).decode()}")]


def without_user_info(url: str) -> str:
    """The address without its user info."""
    if "@" not in url or (parts := urlsplit(url)).username is None:
        return url
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
