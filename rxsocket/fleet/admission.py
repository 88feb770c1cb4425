"""Who of the sockets of one address dials next, and when (C42).

::

    limits        connects="2/10s", connections=4
    lost          A──┐     B──┐
    renewing      │  │  C──┼──┼──┐ D──┐          sockets that wait to be dialled
    admitted      A(0s) C(0s) B(10s) D(10s)      each kind in order, the two in turn

A dial takes its place in the window until its answer is a window old (see :class:`DialWindow`), and
its connection takes one of ``connections`` until nothing is left of it. What is learnt from answers
(:class:`DialLearning`) holds besides.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import time
from collections import deque
from collections.abc import Callable, Hashable
from functools import partial

from rxsocket.endpoint.admission import Admit, Admitted
from rxsocket.errors import HandshakeRefused
from rxsocket.events import Aborted, ConnectFailed, Event, Opened, Rejected
from rxsocket.fleet.dial_learning import SPAN, DialLearning, Refusal
from rxsocket.fleet.dial_window import Dial, DialWindow
from rxsocket.fleet.events import Capped, Throttled
from rxsocket.limits import Limits
from rxsocket.policy.backoff import retry_after_seconds

GRACE = 2.0
"""Seconds for which a socket that gave its place up has it still."""


class _Waiting:
    """A socket that waits to be admitted."""

    __slots__ = ("beside", "future", "number", "socket")

    def __init__(
        self, socket: Hashable, beside: bool, number: int, future: asyncio.Future[Dial]
    ) -> None:
        self.socket = socket
        self.beside = beside
        self.number = number
        self.future = future

    def __lt__(self, other: _Waiting) -> bool:
        return self.number < other.number


class Admission:
    """Admits the dials of the sockets of one address. Its methods are called on the loop.

    Args:
        limits: What the server allows: ``connects`` and ``connections`` of it.
        loop: The loop that its sockets live on.
        shard: The name of the shard that its events have.
        on_learnt: Called with what the answers teach.
        wall_time: Gives the time for these events; left out, that of the system.

    Attributes:
        limits: What the server allows.
        on_learnt: What is called with what the answers teach.
    """

    def __init__(
        self,
        limits: Limits,
        loop: asyncio.AbstractEventLoop,
        *,
        shard: str = "",
        on_learnt: Callable[[Throttled | Capped], object] | None = None,
        wall_time: Callable[[], float] | None = None,
    ) -> None:
        self.limits = limits
        self._said = _least(limits.connections, limits.connections_per_credential)
        self._loop = loop
        self.on_learnt = on_learnt
        self._wall_time = wall_time
        self._window = DialWindow(limits.connect_rate)
        self._shard = shard
        self._learning = DialLearning(limits.connect_rate, shard)
        self._lost: list[_Waiting] = []
        self._renewing: list[_Waiting] = []
        self._is_renewals_turn = False
        self._last_number = 0
        self._given_up: dict[Hashable, tuple[int, float]] = {}  # a place, and until when it is kept
        self._dials: dict[Hashable, tuple[Dial, bool]] = {}  # the last one of each socket
        self._recent: deque[Dial] = deque()
        self._open = 0
        self._timer: asyncio.TimerHandle | None = None

    def on_loop(self, loop: asyncio.AbstractEventLoop) -> Admission:
        """The same for sockets on a loop: a server does not know of ours, and counts on.

        Args:
            loop: The loop; what still waits on another one is given up there.
        """
        if loop is self._loop:
            return self
        made = Admission(
            self.limits,
            loop,
            shard=self._shard,
            on_learnt=self.on_learnt,
            wall_time=self._wall_time,
        )
        self._window.give_up(loop.time())
        made._window, made._learning, made._recent = self._window, self._learning, self._recent
        return made

    def of(self, socket: Hashable) -> Admit:
        """What a socket asks before each dial, as ``Endpoint.admission``."""
        return partial(self._admit, socket)

    def resumed(self, answered_ago: float) -> Admitted:
        """A dial that another owner admitted before, so many seconds after its answer."""
        now = self._now()
        dial = self._window.begin(now)
        self._window.answered(dial, now - answered_ago)
        self._open += 1
        return Admitted(partial(self._on_answered, dial), partial(self._on_gone, dial))

    def on_event(self, socket: Hashable, event: Event) -> None:
        """Something happened to a socket: each of its events is told, messages need not be."""
        if isinstance(event, Aborted):
            self._on_aborted(socket)
        elif isinstance(event, Opened):
            dial, _ = self._dials.get(socket, (None, False))
            if dial is not None:
                self._learning.opened(dial.at)
        elif isinstance(event, (ConnectFailed, Rejected)) and event.status is not None:
            self._on_refused(socket, event.status, event.error)

    def forget(self, socket: Hashable) -> None:
        """A socket is closed for good."""
        self._on_aborted(socket)
        self._given_up.pop(socket, None)
        self._dials.pop(socket, None)

    def cap(self, most: int) -> None:
        """The server takes so many connections, as closes of such that were open taught."""
        self._learning.capped(most, self._now())
        self._go_on()

    @property
    def open(self) -> int:
        """Connections that are open, or being closed, and dials that are on their way."""
        return self._open

    @property
    def waiting(self) -> int:
        """Sockets that wait to be admitted."""
        waiting = (*self._lost, *self._renewing)
        # One that is done was cancelled, and is about to hear of it.
        return sum(not each.future.done() for each in waiting)

    @property
    def most(self) -> int | None:
        """How many connections there may be; ``None`` for any number."""
        learnt = self._learning.cap(self._now())
        return _least(self._said, learnt)

    @property
    def next_in(self) -> float | None:
        """Seconds until the next dial may begin; ``None`` if something else must happen before."""
        now = self._now()
        at = self._next_at(now)
        return None if at == math.inf else max(0.0, at - now)

    def explain(self) -> str:
        """What is waited for, and what was learnt, in words; empty if there is nothing to say."""
        said: list[str] = []
        now = self._now()
        if self.waiting:
            said.append(f"{self.waiting} sockets wait to be dialled: {self._why(now)}")
        learnt = self._learning.words(now)
        if learnt:
            said.append(f"learnt: {learnt}")
        return "; ".join(said)

    # --- the queue

    async def _admit(self, socket: Hashable, beside: bool) -> Admitted:
        now = self._now()
        number, until = self._given_up.pop(socket, (0, -math.inf))
        if until < now:
            self._last_number += 1
            number = self._last_number
        waiting = _Waiting(socket, beside, number, self._loop.create_future())
        heapq.heappush(self._renewing if beside else self._lost, waiting)
        self._go_on()
        try:
            dial = await waiting.future
        except asyncio.CancelledError:
            self._on_cancelled(waiting)
            raise
        self._dials[socket] = (dial, beside)
        return Admitted(partial(self._on_answered, dial), partial(self._on_gone, dial))

    def _on_cancelled(self, waiting: _Waiting) -> None:
        """Nobody waits for it any more: give back what it may have got."""
        if waiting.future.done() and not waiting.future.cancelled():
            dial = waiting.future.result()
            self._window.withdraw(dial)
            self._open -= 1
            if dial in self._recent:
                self._recent.remove(dial)
        queue = self._renewing if waiting.beside else self._lost
        if waiting in queue:
            queue.remove(waiting)
            heapq.heapify(queue)
        self._given_up[waiting.socket] = (waiting.number, self._now() + GRACE)
        self._go_on()

    def _go_on(self) -> None:
        """Admit whoever may dial now, and come back when the next one may."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._is_waited_for():
            now = self._now()
            at = self._next_at(now)
            if at > now:
                if at != math.inf:
                    self._timer = self._loop.call_at(at, self._go_on)
                return
            dial = self._window.begin(now)
            self._recent.append(dial)
            while self._recent[0].at < now - SPAN:
                self._recent.popleft()
            self._open += 1
            self._next_waiting().future.set_result(dial)

    def _is_waited_for(self) -> bool:
        for queue in (self._lost, self._renewing):
            while queue and queue[0].future.done():  # cancelled, and about to hear of it
                heapq.heappop(queue)
        return bool(self._lost or self._renewing)

    def _next_waiting(self) -> _Waiting:
        """The first of those without a connection and the first of the others, in turn."""
        takes_renewal = bool(self._renewing) and (self._is_renewals_turn or not self._lost)
        self._is_renewals_turn = not takes_renewal
        return heapq.heappop(self._renewing if takes_renewal else self._lost)

    def _next_at(self, now: float) -> float:
        most = self.most
        if most is not None and self._open >= most:
            is_learnt = self._said is None or self._open < self._said
            return self._learning.capped_until if is_learnt else math.inf
        last = self._recent[-1].at if self._recent else -math.inf
        spaced = last + self._learning.spacing(now)
        return max(now, spaced, self._learning.held_until, self._window.next_at(now))

    def _why(self, now: float) -> str:
        most = self.most
        if most is not None and self._open >= most:
            return f"there are {self._open} connections, and there may be {most}"
        at = self._next_at(now)
        if at == math.inf:
            return f"{self._window.unanswered} dials are on their way"
        connects = self.limits.connects
        said = "" if connects is None else f", as connects={connects!r} allows"
        return f"the next one in {at - now:.1f} s{said}"

    # --- what comes of a dial

    def _on_answered(self, dial: Dial) -> None:
        if not dial.is_answered:
            self._window.answered(dial, self._now())
            self._go_on()

    def _on_gone(self, dial: Dial) -> None:
        self._open -= 1
        self._go_on()

    def _on_aborted(self, socket: Hashable) -> None:
        dial, _ = self._dials.get(socket, (None, False))
        if dial is not None and not dial.is_answered:
            self._window.answered(dial, self._now(), given_up=True)

    def _on_refused(self, socket: Hashable, status: int, error: Exception) -> None:
        dial, beside = self._dials.get(socket, (None, False))
        if dial is None or (beside and isinstance(error, HandshakeRefused) and status == 403):
            return  # the new credential may be meant
        now, at = self._now(), self._at()
        header = error.retry_after if isinstance(error, HandshakeRefused) else None
        refusal = Refusal(
            status=status,
            retry_after=retry_after_seconds(header, at),
            admitted_at=dial.at,
            dials=sum(dial.at >= now - SPAN for dial in self._recent),
            open=self._open - self._window.unanswered - dial.is_answered,
        )
        for event in self._learning.refused(refusal, now, at):
            if self.on_learnt is not None:
                self.on_learnt(event)
        self._go_on()

    def _now(self) -> float:
        return self._loop.time()

    def _at(self) -> float:
        return time.time() if self._wall_time is None else self._wall_time()


def _least(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return one if other is None else other
    return min(one, other)
