"""The thread that starts Ray for the fleets of this process, and lives until the last has left.

On Linux the processes of a Ray that is started here end with the thread that started them.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any


class RayThread:
    """Starts Ray off the loop, and stops it again.

    Args:
        ray: The module.
        options: The arguments of ``ray.init``.
    """

    _shared: RayThread | None = None
    _lock = threading.Lock()

    def __init__(self, ray: Any, options: Mapping[str, Any]) -> None:
        self._ray = ray
        self._options = options
        self._users = 0
        self._is_to_stop = threading.Event()
        self._started: Future[None] = Future()
        self._stopped: Future[None] = Future()
        threading.Thread(target=self._work, name="rxsocket-ray", daemon=True).start()

    @classmethod
    def use(cls, ray: Any, options: Mapping[str, Any]) -> RayThread | None:
        """The one for one more fleet; ``None`` where Ray runs already, and is somebody else's."""
        with cls._lock:
            if cls._shared is None:
                if ray.is_initialized():
                    return None
                cls._shared = cls(ray, options)
            cls._shared._users += 1
            return cls._shared

    async def started(self) -> None:
        """Return when it has been started.

        Raises:
            Exception: What ``ray.init`` raised.
        """
        await asyncio.shield(asyncio.wrap_future(self._started))

    async def release(self) -> None:
        """A fleet needs it no more; the last one returns when Ray has been stopped."""
        cls = type(self)
        with cls._lock:
            self._users -= 1
            if self._users:
                return
            if cls._shared is self:
                cls._shared = None
        self._is_to_stop.set()
        await asyncio.shield(asyncio.wrap_future(self._stopped))

    def _work(self) -> None:
        try:
            self._ray.init(**self._options)
        except BaseException as error:
            with type(self)._lock:
                if type(self)._shared is self:
                    type(self)._shared = None
            raised = error if isinstance(error, Exception) else RuntimeError(repr(error))
            self._started.set_exception(raised)
        else:
            self._started.set_result(None)
            self._is_to_stop.wait()
            self._ray.shutdown()
        self._stopped.set_result(None)
