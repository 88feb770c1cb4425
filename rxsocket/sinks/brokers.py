"""What the sinks of brokers share: addresses that show no password, clients that are extras."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from rxsocket.auth.masks import Mask
from rxsocket.sinks.sink import SinkUnavailable
from rxsocket.texts import LONGEST, printable
from rxsocket.validation import one_line

EXAMPLES = {"nats": "nats://127.0.0.1:4222", "redis": "redis://127.0.0.1:6379/0"}

LONGEST_SAID = 300
"""Characters of what a client or a broker says."""


class BrokerAddress:
    """Where a broker is; its password is in no text (C28).

    Args:
        url: Its address, which may hold a password.
        schemes: What it may begin with; the first one is shown in errors.
        options: What else its client is given; texts in it may be secrets.
        own: What may not be among these.

    Attributes:
        url: The address.
        shown: The address without user, password and query values.

    Raises:
        TypeError: If it is not a string.
        ValueError: If it is no address of such a broker, or there is such an option.
    """

    def __init__(
        self,
        url: Any,
        schemes: Sequence[str],
        options: Mapping[str, Any],
        *,
        own: Sequence[str],
    ) -> None:
        for name in own:
            if name in options:
                raise ValueError(f"{name}: leave it out, the sink sets it")
        example = EXAMPLES[schemes[0]]
        if not isinstance(url, str):
            raise TypeError(f"url: pass a string such as {example!r}, not {type(url).__name__}")
        one_line("url", url)
        try:
            parts = urlsplit(url)
            _ = parts.port
        except ValueError:
            raise ValueError(f"url: the host or the port is not valid; pass {example!r}") from None
        is_there = bool(parts.path) if parts.scheme == "unix" else bool(parts.hostname)
        if parts.scheme not in schemes or not is_there:
            raise ValueError(f"url: pass an address such as {example!r}")
        query = parse_qsl(parts.query, keep_blank_values=True)
        masked = "&".join(f"{name}=***" for name, _ in query)
        bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], query=masked)
        self.url = url
        self.shown = printable(bare.geturl(), LONGEST)
        secrets: dict[str, list[str]] = {}
        login = (("user", parts.username), ("password", parts.password))
        for name, text in (*login, *query, *options.items()):
            if isinstance(text, str):
                secrets.setdefault(name, []).append(unquote(text))
        self._mask = Mask.of(secrets)

    def masked(self, text: str) -> str:
        """A text of a client or a broker, without the secrets, in one line."""
        return printable(self._mask.in_reason(text), LONGEST_SAID)

    def away(self, error: BaseException, what: str, advice: str) -> SinkUnavailable:
        """The error for a broker that cannot be used.

        Args:
            error: What the client raised.
            what: What the broker does not do.
            advice: What to do.
        """
        text = self.masked(str(error)) or type(error).__name__
        return SinkUnavailable(f"{self.shown} {what}: {text}; {advice}")


def missing(extra: str, error: ModuleNotFoundError) -> ModuleNotFoundError:
    """The error for a client that is not installed."""
    name = error.name
    return ModuleNotFoundError(
        f"this sink needs {name}: run pip install 'rxsocket[{extra}]'", name=name
    )
