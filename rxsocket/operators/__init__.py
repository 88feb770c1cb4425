"""Operators in the shape of RxPY's, for consumers that cannot keep up and for ``async`` functions.

::

    from rxsocket.operators import conflate, concat_map_async

    socket.messages.pipe(conflate(lambda quote: quote.symbol), concat_map_async(store)).subscribe()
"""

from rxsocket.operators.map_async import concat_map_async, flat_map_async
from rxsocket.operators.overflow import buffer_up_to, conflate, latest
from rxsocket.operators.resync import resync
from rxsocket.streams.buffers import Drops

__all__ = [
    "Drops",
    "buffer_up_to",
    "concat_map_async",
    "conflate",
    "flat_map_async",
    "latest",
    "resync",
]
