"""The thread that starts Ray, and lives until that is stopped.

On Linux the processes of a Ray that is started here end with the thread that started them.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any


class RayThread:
    """Starts Ray off the loop, and stops it again; both are called on the loop.

    Args:
        ray: The module.
        options: The arguments of ``ray.init``.
    """

    def __init__(self, ray: Any, options: Mapping[str, Any]) -> None:
        self._ray = ray
        self._options = options
        self._is_to_stop = threading.Event()
        loop = asyncio.get_running_loop()
        self._started: asyncio.Future[None] = loop.create_future()
        self._stopped: asyncio.Future[None] = loop.create_future()
        threading.Thread(target=self._work, args=(loop,), name="rxsocket-ray", daemon=True).start()

    async def started(self) -> None:
        """Return when it has been started.

        Raises:
            Exception: What ``ray.init`` raised.
        """
        await asyncio.shield(self._started)

    async def stop(self) -> None:
        """Return when it has been stopped."""
        self._is_to_stop.set()
        await asyncio.shield(self._stopped)

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        def tell(action: Callable[[], None]) -> None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(action)

        try:
            self._ray.init(**self._options)
        except BaseException as error:
            raised = error if isinstance(error, Exception) else RuntimeError(repr(error))
            tell(lambda: self._started.set_exception(raised))
        else:
            tell(lambda: self._started.set_result(None))
            self._is_to_stop.wait()
            self._ray.shutdown()
        tell(lambda: self._stopped.set_result(None))
