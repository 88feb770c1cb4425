"""C26 on real connections: a Ctrl-C at any step of a call that blocks ends it, and locks nothing.

Python raises ``KeyboardInterrupt`` at any step of the main thread: where a function begins or
returns, or a loop goes round. So Ctrl-C is pressed here just before the first step of a call, then
the second one, and so on.
"""

from __future__ import annotations

import _thread
import dis
import gc
import signal
import sys
from collections import defaultdict
from collections.abc import Callable
from functools import cache, partial
from types import CodeType, FrameType
from typing import Any

import pytest
from deadlines import within
from internals import look_for_signals

from rxsocket import Socket
from rxsocket.testing import server

NEVER = sys.maxsize


class Interrupt:
    """Presses Ctrl-C just before the nth step of a call.

    Attributes:
        steps: How many steps there were until then.
        place: Where it was pressed.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        # The function that traces must not look for signals once it is pressed: it calls nothing.
        self._press: dict[str, None] = defaultdict(partial(_thread.interrupt_main, signal.SIGINT))
        self.steps = 0
        self.place = "nowhere"

    def call(self, function: Callable[[], object]) -> None:
        """Call a function, with the interrupt."""
        before = sys.gettrace()
        gc.disable()  # an interrupt in what it calls back, as of a WeakSet, Python ignores
        sys.settrace(self._enter)
        try:
            function()
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(before)
            gc.enable()

    def _enter(self, frame: FrameType, event: str, argument: Any) -> Any:
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self._step

    def _step(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "opcode" and frame.f_lasti in steps(frame.f_code):
            self.steps += 1
            if self.steps == self._number:
                sys.settrace(None)
                code = frame.f_code
                self.place = f"{code.co_filename}:{frame.f_lineno} in {code.co_qualname}"
                return self._press["once"]
        return self._step


@cache
def steps(code: CodeType) -> frozenset[int]:
    """Where in a function the interpreter looks for signals, but for its beginning."""
    found = dis.get_instructions(code)
    names = ("CALL", "JUMP_BACKWARD")
    return frozenset(one.offset for one in found if one.opname.startswith(names))


def waiting(socket: Socket, timeout: float) -> None:
    socket.wait(timeout)


def sending(socket: Socket, timeout: float) -> None:
    socket.send("x").result(5)


def closing(socket: Socket, timeout: float) -> None:
    socket.close().result(5)


def with_block(socket: Socket, timeout: float) -> None:
    with socket:
        pass


CALLS = [waiting, sending, closing, with_block]


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="it traces the first call of none")
@pytest.mark.timeout(20)
@pytest.mark.parametrize("call", CALLS)
def test_an_interrupt_at_any_step(
    call: Callable[[Socket, float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """C26: whatever was interrupted, the socket closes, and others live on."""
    look_for_signals(monkeypatch, 0.05)

    def interrupted(number: int, timeout: float) -> int:
        socket = Socket(peer.url, auth="a")
        socket.messages.subscribe()
        interrupt = Interrupt(number)
        with within(1.0):
            interrupt.call(lambda: call(socket, timeout))
        try:
            socket.close().result(5)
        except TimeoutError:
            pytest.fail(f"interrupted at {interrupt.place}: it does not close")
        return interrupt.steps

    with server() as peer, Socket(peer.url) as other:  # which keeps the thread
        count = interrupted(NEVER, 0.01)
        assert count > 10
        for number in range(1, count + 1):
            interrupted(number, 5)
        other.send("x").result(5)
