"""The server's end of one connection: how a script is played on it."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod

from rxsocket.testing.script import (
    CloseStep,
    ExpectStep,
    LastStep,
    Payload,
    SendStep,
    Step,
    StreamStep,
    WaitStep,
)
from rxsocket.testing.server_log import Handshake, ServerLog, without_content


class PeerConnection(ABC):
    """The server's end of an accepted connection. Its methods are called on its loop.

    Attributes:
        number: Number of its handshake.
        loop: The loop it is on.
        closing: Whether either side has sent a close frame, or the connection has ended.
        frozen: Whether the server has stopped reading and answering.
        dropped: Whether the server cut the connection.
    """

    def __init__(self, log: ServerLog, handshake: Handshake) -> None:
        self.number = handshake.number
        self.loop = asyncio.get_running_loop()
        self.closing = False
        self.frozen = False
        self.dropped = False
        self._log = log
        self._inbox: asyncio.Queue[Payload] = asyncio.Queue()

    def deliver(self, message: Payload) -> None:
        if not (self.closing or self.frozen):
            self._log.add_line(f"#{self.number} sent {without_content(message)}")
            self._write(message)

    def close(self, code: int, reason: str) -> None:
        if not (self.closing or self.frozen):
            self.closing = True
            self._log.add_line(f"#{self.number} sent close {code}")
            self._write_close(code, reason)

    def drop(self) -> None:
        if not self.dropped:
            self.closing = self.dropped = True
            self._log.add_line(f"#{self.number} dropped")
            self._cut()

    def freeze(self) -> None:
        """Stop reading and answering."""
        if not self.frozen:
            self.frozen = True
            self._log.add_line(f"#{self.number} frozen")
            self._stop_reading()

    def on_message(self, message: Payload) -> None:
        if not self.frozen:
            self._inbox.put_nowait(message)
            self._log.add_message(self.number, message)

    @abstractmethod
    def _write(self, message: Payload) -> None: ...

    @abstractmethod
    async def _write_and_drain(self, message: Payload) -> bool:
        """Return when there is room for another message; ``False`` if this one was not sent."""

    @abstractmethod
    def _write_close(self, code: int, reason: str) -> None: ...

    @abstractmethod
    def _cut(self) -> None: ...

    @abstractmethod
    def _stop_reading(self) -> None: ...

    async def run_script(self, steps: tuple[Step, ...]) -> None:
        for step in steps:
            match step:
                case SendStep(message):
                    self.deliver(message)
                case StreamStep():
                    if not await self._stream(step):
                        return
                case WaitStep(seconds):
                    await asyncio.sleep(seconds)
                case ExpectStep():
                    if not self._is_expected(step, await self._inbox.get()):
                        return
                case LastStep.ECHO:
                    while True:
                        self.deliver(await self._inbox.get())
                case CloseStep(code, reason):
                    self.close(code, reason)
                case LastStep.DROP:
                    self.drop()
                case LastStep.FREEZE:
                    self.freeze()
                case LastStep.STAY:
                    return

    async def _stream(self, step: StreamStep) -> bool:
        start, sent = self.loop.time(), 0
        try:
            for message in step.open_messages():
                if step.rate is not None:
                    early = start + sent / step.rate - self.loop.time()
                    if early > 0:
                        await asyncio.sleep(early)
                if self.closing or self.frozen or not await self._write_and_drain(message):
                    break
                sent += 1
        except Exception as error:
            failure = AssertionError(f"#{self.number} stopped streaming: {error!r}")
            failure.__cause__ = error
            self._log.add_failure(self.loop, failure)
            return False
        finally:
            self._log.add_line(f"#{self.number} streamed {sent} messages")
        return True

    def _is_expected(self, step: ExpectStep, message: Payload) -> bool:
        try:
            if step.matches(message):
                return True
            what = repr(step.what) if isinstance(step.what, (str, bytes)) else "something else"
            failure = AssertionError(f"#{self.number} sent {message!r}; the script expected {what}")
        except Exception as error:
            failure = AssertionError(
                f"#{self.number} sent {message!r}; the script raised {error!r}"
            )
            failure.__cause__ = error
        self._log.add_failure(self.loop, failure)
        return False
