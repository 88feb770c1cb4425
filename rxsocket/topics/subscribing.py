"""What a function that makes a subscribe message is told (C37)."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from rxsocket.auth.credentials import Credential, CredentialValue


class _Nothing:
    def __repr__(self) -> str:
        return "nothing"


NOTHING: Final = _Nothing()


@dataclass(frozen=True, slots=True, repr=False)
class Subscribing:
    """What a ``subscribe=`` or ``unsubscribe=`` function may ask about; it takes it if it likes.

    It is made for each message, as that is about to be written: nothing of a credential that was
    left, or of another identity's, is in one (rule C14, identity).

    Attributes:
        epoch: The connection that the message is for.
        keys: The keys that it is about; none for a channel without ``key=``.
        credential: The value of the credential of that connection, a mapping or a string; ``None``
            if it has none. It is masked in the repr (rule C28, secrets).
        cursor: The newest place in the stream, if the socket has a ``cursor=``; it does not show.
        nothing: What an ``unsubscribe=`` function returns when there is nothing to say, because the
            server has ended it by itself.

    Examples:
        >>> def subscribe(keys, to):
        ...     return {"type": "subscribe", "product_ids": keys, "jwt": sign(to.credential)}
        >>> quotes = socket.channels(["BTC-USD", "ETH-USD"], subscribe=subscribe, by=product)
    """

    epoch: int
    keys: tuple[Hashable, ...] = field(default=(), repr=False)
    credential: CredentialValue | None = field(default=None, repr=False)
    cursor: Any = None
    nothing: ClassVar[object] = NOTHING

    @property
    def key(self) -> Any:
        """The first of the keys; ``None`` without any."""
        return self.keys[0] if self.keys else None

    def __repr__(self) -> str:
        masked = None if self.credential is None else Credential.of(self.credential).masked
        about = f"epoch={self.epoch}, {len(self.keys)} keys"  # a cursor may be long
        return f"Subscribing({about}, credential={masked})"
