"""The independent model: what was asked of a socket, and what the contract says of it."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from internals import Accept, Fake, Publisher, Script, engine_of
from reactivex import Observable
from websockets.datastructures import Headers

from rxsocket import (
    Aborted,
    AwaitingAuth,
    Cause,
    Closed,
    ConnectFailed,
    Connecting,
    Ended,
    Event,
    HandshakeRefused,
    InEffect,
    Message,
    NotInEffect,
    ObserverFailed,
    Opened,
    Overtaken,
    Receipt,
    Refused,
    Rejected,
    Request,
    Signal,
    Socket,
    State,
    Stored,
    Unauthorized,
    Verdict,
    Waiting,
)
from rxsocket.testing import Grammar, GrammarError, Handshake, VirtualClock, accept, reject

__all__ = ["ANONYMOUS", "PENDING", "PROVIDER", "Broken", "Model", "ModelPeer"]

EPS = 2e-5
"""The clock counts whole microseconds; a few of them add up."""
CHANGE_SPACING, SPACING = 0.05, 1.0
OURS = {Cause.AUTH_CHANGED, Cause.LOGGED_OUT, Cause.RECONNECT, Cause.CLOSE, Cause.LEFT}

# What the model may have as the current credential, besides a token and None (logged out).
ANONYMOUS, PENDING, PROVIDER = "<anonymous>", "<pending>", "<provider>"

DOORS: dict[str | None, Script] = {
    "refused": reject(401),
    "forbidden": reject(403),
    "expired": accept().wait(0.01).close(4401, "expired"),
    "policy": accept().close(1008, "policy"),
}
"""What the peer does with some credentials, when it would have accepted."""


class Broken(AssertionError):
    """A rule of the contract does not hold."""


class ModelPeer(Fake):
    """A fake server that tells the model of each dial, and refuses some credentials."""

    model: Model

    def __init__(self, latency: float) -> None:
        super().__init__((), None, latency)
        self._count = 0

    def __call__(self, request: Request) -> Observable[Signal]:
        self.model.dial(request.url.partition("token=")[2] or ANONYMOUS)

        async def go() -> None:
            await request.go()
            self.model.handshake()

        return super().__call__(replace(request, go=go))

    def accept_dial(self, target: str, headers: Headers) -> tuple[Handshake | None, Script]:
        handshake, script = super().accept_dial(target, headers)
        if handshake is not None and isinstance(script, Accept):
            script = DOORS.get(handshake.credential, script)
        return handshake, script

    def speak(self, times: int) -> None:
        """Send messages that tell which connection they are of: ``handshake:number``."""
        for visit in self.visits:
            for _ in range(times):
                self._count += 1
                visit.deliver(f"{visit.number}:{self._count}")

    def calm(self) -> None:
        """From now on accept at once."""
        with self.log.changed:
            self._queue.clear()

    @property
    def frozen(self) -> bool:
        return any(visit.frozen for visit in self.visits)


class _Listening(logging.Handler):
    """What the library logs: a bug of its own that it caught is a bug all the same."""

    def __init__(self, broken: Callable[[str], None]) -> None:
        super().__init__()
        self._broken = broken

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.levelno >= logging.ERROR and ("unexpectedly" in text or "a bug in" in text):
            error = record.exc_info[1] if record.exc_info else None
            self._broken(f"the library caught a bug of its own: {text}: {error!r}")


class Model:
    """Writes everything down, and checks each event against what was asked for."""

    def __init__(self, clock: VirtualClock, peer: ModelPeer, linger: float) -> None:
        self.clock, self.peer, self.linger = clock, peer, linger
        peer.model = self
        self.lines: list[str] = []
        self.broken: list[str] = []
        self.failed = False
        self.activity = 0
        self.depth = 0
        self._grammar = Grammar()
        # what was asked
        self.current: Any = PENDING
        self._shown: Any = PENDING
        self.provided = False
        self.minted: list[str] = []
        self.gave_up = False
        self.holders: dict[int, int] = {}
        self._sequence = 0
        self._closes: deque[int] = deque()
        self.left_at = 0.0
        self.receipts: list[tuple[Any, int, bool, Receipt[Any]]] = []
        self.farewells: list[tuple[float, Receipt[None]]] = []
        self.raised = 0
        self._asked: set[Cause] = set()
        self._pushes: list[tuple[int, Any]] = []
        self._stops: list[int] = []
        self._closed_early: dict[str | None, int] = {}
        # what came of it
        self.state = State.IDLE
        self.events: list[Event] = []
        self.epoch = 0
        self.refused: set[str] = set()
        self.ever_refused: set[Any] = set()
        self.tokens: dict[int, str] = {}
        self.visits: dict[int, int] = {}
        self.connecting = False
        self._doomed: int | None = None
        self._next_cause: Cause | None = None
        self._attempt_at: float | None = None
        self._changed_since_attempt = False
        self._dials: list[float] = []
        self._due: float | None = None
        self._pushed_at = 0.0
        self._open = False
        self._left_at = -1e9
        self._not_before: float | None = None
        self._opened = self._closed = self._failed_observers = 0
        self.started_at = 0.0

    # --- writing

    def __str__(self) -> str:
        return "\n".join(["", *self.lines, "", "the peer:", *self.peer.history[-40:]])

    def note(self, line: str) -> None:
        self.lines.append(f"t={self.clock.time():<11.6f} {'| ' * self.depth}{line}")

    def wrong(self, rule: str) -> None:
        """A rule is broken; told by the next check, as observers that raise are only detached."""
        self.note(f"!!! {rule}")
        self.broken.append(rule)

    def expect(self, holds: object, rule: str) -> None:
        if not holds:
            self.wrong(rule)

    def begin(self, credential: Any) -> None:
        """The socket has this credential to begin with."""
        self.current = self._shown = credential

    def follow(self, socket: Socket) -> None:
        """Watch a socket from inside; an observer of ``events`` would change what it does (C4)."""
        self.socket = socket
        self.engine = engine = engine_of(socket)
        self.publisher = publisher = engine.publisher
        inside = [0]

        def publish(event: Event, *rest: Any, **more: Any) -> None:
            self._event(event)
            inside[0] += 1
            try:
                Publisher.publish(publisher, event, *rest, **more)
            finally:
                inside[0] -= 1

        class Noted(list[Any]):
            """Messages, each of which is noted when it is taken to be delivered."""

            def __iter__(noted) -> Iterator[Any]:
                for data in super().__iter__():
                    self._event(Message(epoch=publisher._epoch, data=data))
                    yield data

        def deliver(batch: list[Any], came: list[Any] | None = None) -> None:
            Publisher.deliver(publisher, Noted(batch), came)

        def enter(state: State) -> None:
            if not inside[0]:
                self.note(f"state {state!r}")
                self.state = state
                self._halted()
            Publisher.enter(publisher, state)

        closing = engine._close

        def close(*arguments: Any) -> None:
            before = self._closes.popleft()
            for holder, sequence in list(self.holders.items()):
                if sequence < before:
                    del self.holders[holder]
            self.left_at = -1e9
            self._asked.add(Cause.CLOSE)
            closing(*arguments)

        watched: Any = publisher
        watched.publish, watched.deliver, watched.enter = publish, deliver, enter
        engine._close = close  # type: ignore[method-assign]
        logger = logging.getLogger("rxsocket")
        self._listening = _Listening(self.wrong)
        self._propagate, logger.propagate = logger.propagate, False
        logger.addHandler(self._listening)

    def leave(self) -> None:
        logger = logging.getLogger("rxsocket")
        logger.removeHandler(self._listening)
        logger.propagate = self._propagate

    def check(self) -> None:
        if self.broken:
            self.failed = True
            rules = "\n".join(f"- {rule}" for rule in self.broken)
            raise Broken(f"{rules}\n{self}")

    # --- what is asked of the socket

    def sequence(self) -> int:
        self._sequence += 1
        return self._sequence

    @property
    def running(self) -> bool:
        return bool(self.holders)

    @property
    def lingering(self) -> bool:
        return not self.holders and self.clock.time() <= self.left_at + self.linger + EPS

    @property
    def asleep(self) -> bool:
        """Whether nothing runs; or it was just told that nothing does."""
        return not self.engine.run_state.is_running or self.state in (State.IDLE, State.CLOSED)

    def hold(self, holder: int) -> None:
        self.started_at = self.clock.time()
        self.holders[holder] = self.sequence()

    def let_go(self, holder: int) -> None:
        if self.holders.pop(holder, None) is not None and not self.holders:
            self.left_at = self.clock.time()
            self._asked.add(Cause.LEFT)

    @property
    def fallback(self) -> bool:
        """Whether it is for the provider: nothing was pushed that may be dialled."""
        return self.provided and (self.current is PROVIDER or self.current in self.refused)

    def effective(self) -> Any:
        """The credential that is in use, as far as the model knows."""
        if self.fallback:
            return self.minted[-1] if self.minted else PROVIDER
        return self.current

    def pushed(self, value: Any) -> int:
        """A credential was set, or emitted by the source that the socket follows."""
        self.activity += 1
        sequence = self.sequence()
        self._pushes.append((sequence, value))
        self._push(value)
        return sequence

    def _push(self, value: Any) -> None:
        if value == self._shown:
            if not self.engine.run_state.is_running:
                self.current = value  # stored for the start, whatever a provider said before
            return  # C6
        self._shown = value
        self.gave_up = False
        self.current = value
        self._asked.add(Cause.LOGGED_OUT if value is None else Cause.AUTH_CHANGED)
        self._changed_since_attempt = True
        self._due = self._not_before = None
        if value is not None and value not in self.refused and self.engine.run_state.is_running:
            now = self.clock.time()
            self._pushed_at = now
            self._reckon(now)

    def froze(self) -> None:
        """The peer will not answer any more."""
        if self._due is not None:
            self._reckon(self._pushed_at)

    def _reckon(self, pushed_at: float) -> None:
        """When the handshake with a credential that was pushed is due (C5, C7)."""
        left_at = pushed_at if self._open else self._left_at
        answer = CHANGE_SPACING if self.peer.frozen else min(CHANGE_SPACING, self.peer._latency)
        held_back = pushed_at if self._attempt_at is None else self._attempt_at + CHANGE_SPACING
        self._due = max(pushed_at, left_at + answer, held_back) + EPS

    def will_set(self, value: Any, sequence: int, asleep: bool, receipt: Receipt[Any]) -> None:
        self.receipts.append((value, sequence, asleep, receipt, self.clock.time()))

    def closes(self) -> None:
        self.activity += 1
        self._due = None
        self._closes.append(self.sequence())

    def reconnects(self) -> None:
        self.activity += 1
        self.started_at = self.clock.time()
        self._asked.add(Cause.RECONNECT)
        self.refused.clear()
        if self.engine.run_state.is_running or self.depth:
            self.gave_up = False
            self._not_before = None

    # --- what the socket does

    def dial(self, token: str) -> None:
        self.activity += 1
        self.note(f"dial with {token}")
        self.expect(self.connecting, "C2: a dial outside an attempt")
        expected = self.effective()
        if token != expected and self.engine.loop._actions:
            # An observer called back into the socket when it was told of the attempt: that is
            # carried out when everybody was told, before anything of the dial can be sent.
            self._doomed = self.epoch
            return
        self.tokens[self.epoch] = self._shown = token
        if self.provided:
            self._pushes.append((self.sequence(), token))  # what it gives overtakes too
        self.expect(token == expected, f"C10: dialled with {token}, the current one is {expected}")
        self.expect(token not in self.refused, f"C9: {token} was refused and is dialled again")
        self._due = None

    def handshake(self) -> None:
        """The handshake of the attempt is sent."""
        now = self._attempt_at = self.clock.time()
        self._dials = [at for at in self._dials if now - at < CHANGE_SPACING - EPS] + [now]
        self.expect(len(self._dials) <= 2, f"C7: {len(self._dials)} handshakes within 50 ms")

    def _halted(self) -> None:
        self.activity += 1
        self._due = self._not_before = None
        self._stops.append(self.sequence())
        self.gave_up = False

    def _event(self, event: Event) -> None:
        now = self.clock.time()
        if not isinstance(event, Message):
            self.activity += 1
        self.note(f"{event!r}")
        self.events.append(event)
        try:
            self._grammar.check(event)
        except GrammarError as error:
            self.wrong(f"C2: {str(error).splitlines()[0]}")
        self.state = _led_to(event) or self.state
        match event:
            case Connecting():
                self._begins(event, now)
            case Opened(epoch=epoch):
                self._opened += 1
                self._open, self.connecting = True, False
                self.expect(epoch != self._doomed, "C10: opened with a credential of the past")
                self.visits[epoch] = self.peer.handshakes[-1].number
            case Message(epoch=epoch, data=data):
                number = int(data.partition(":")[0])
                mine = self.visits.get(epoch)
                self.expect(number == mine, f"C5: message {data} as one of epoch {epoch} (#{mine})")
            case Closed():
                self._closed += 1
                self._open = False
                if event.cause is Cause.PEER and event.uptime <= 0.25:
                    token = self.tokens.get(event.epoch)
                    self._closed_early[token] = self._closed_early.get(token, 0) + 1
                if event.cause in OURS:
                    self._left_at = now
                self._over(event.cause, event.verdict)
                if event.cause in OURS:
                    self.expect(
                        (event.code, event.sent, event.verdict) == (None, 1000, None),
                        "C2: a Closed of our own making has no code and no verdict, and sent=1000",
                    )
                elif event.verdict is Verdict.AWAIT_AUTH:
                    self._refusal(event)
                elif event.code in (4401, 4403):
                    self.expect(self.peer.connections > 0, f"C9: {event.code} is a refusal")
            case Aborted(cause=cause):
                given_up = self.provided and cause in (Cause.REFUSED, Cause.LOGGED_OUT)
                self._over(cause if not given_up else Cause.FAILED, None)
            case Rejected():
                self._over(Cause.FAILED, event.verdict)
                self.expect(event.verdict is Verdict.AWAIT_AUTH, "C9: Rejected says AWAIT_AUTH")
                if isinstance(event.error, Unauthorized):
                    self.gave_up = True
                else:
                    self._refusal(event)
            case ConnectFailed(error=error):
                self._over(Cause.FAILED, event.verdict)
                if event.status in (401, 403):
                    # One more try is allowed while an old close is unanswered (C5).
                    self.expect(self.peer.connections > 0, f"C9: {event.status} is a refusal")
                if isinstance(error, HandshakeRefused) and error.retry_after:
                    self._not_before = now + float(error.retry_after)
            case Waiting(delay=delay):
                self.expect(delay <= 300 + EPS, "C15: a Retry-After is honoured up to 5 min")
                self._not_before = max(self._not_before or 0.0, now + delay)
                self._next_cause = event.cause
            case AwaitingAuth():
                self._due = None
            case Ended(cause=cause):
                if cause is not Cause.CLOSE:
                    self.holders.clear()
                    self.left_at = -1e9
                self._halted()
            case ObserverFailed():
                self._failed_observers += 1
                self.expect(
                    self._failed_observers <= self.raised, f"C23: who raised? {event.error!r}"
                )
            case _:
                pass

    def _begins(self, event: Connecting, now: float) -> None:
        self.expect(event.epoch == self.epoch + 1, f"C2: epoch {event.epoch} after {self.epoch}")
        self.epoch, self.connecting = event.epoch, True
        since = 1e9 if self._attempt_at is None else now - self._attempt_at
        self.expect(
            since >= CHANGE_SPACING - EPS, f"C7: an attempt {since:g} s after the one before"
        )
        if not self._changed_since_attempt:
            self.expect(since >= SPACING - EPS, f"C15: an attempt {since:g} s after the one before")
        else:
            self.expect(event.attempt == 1, f"C8: attempt {event.attempt} after a change")
        if self._not_before is not None:
            self.expect(
                self._next_cause in (None, event.cause),
                f"C2: an attempt because of {event.cause!r}; it waited because of"
                f" {self._next_cause!r}",
            )
            early = self._not_before - now
            self.expect(early <= EPS, f"C15: an attempt {early:g} s before the wait is over")
        self.expect(self.current is not None, "C11: an attempt although logged out")
        self.expect(self.current is not PENDING, "C10: an attempt before there is a credential")
        self.expect(self.holders or self.lingering, "C1: an attempt although nobody is there")
        self._attempt_at, self._changed_since_attempt = now, False
        self._not_before = self._next_cause = None
        self._asked = set() if self.holders else {Cause.LEFT}

    def _over(self, cause: Cause, verdict: Verdict | None) -> None:
        self.connecting = False
        if cause in OURS:
            self.expect(cause in self._asked, f"an epoch ended with {cause!r}; nobody asked for it")

    def _refusal(self, event: Closed | Rejected) -> None:
        token = self.tokens.get(event.epoch)
        if token is None:
            self.wrong(f"C9: epoch {event.epoch} was refused without a dial")
            return
        self.refused.add(token)
        self.ever_refused.add(token)
        if token == self.effective():
            self._due = None

    # --- what must be so between the steps

    def between(self) -> None:
        """The invariants, when nothing is being emitted."""
        now = self.clock.time()
        socket, running = self.socket, self.engine.run_state.is_running
        self.expect(self.peer.most_open <= 1, "C5: two connections at a time")
        if self.holders:
            self.expect(running, f"C1: held by {len(self.holders)}, but it does not run")
        elif not self.lingering:
            self.expect(not running, "C1: it runs, but nobody holds it")
        shown = socket.state.value
        self.expect(shown is self.state, f"C2: state {shown!r}, the events say {self.state!r}")
        if running and now > self.started_at + CHANGE_SPACING + EPS:
            asleep = shown in (State.IDLE, State.CLOSED)
            self.expect(not asleep, f"C1: it runs, and its state is {shown!r}")
        if not running:
            asleep = shown in (State.IDLE, State.CLOSED)
            self.expect(asleep, f"C1: it does not run, and its state is {shown!r}")
        if self._due is not None:
            late = now - self._due
            self.expect(late <= EPS, f"C5: the changed credential was not dialled, {late:g} s late")
        self.expect(
            self._failed_observers == self.raised,
            f"C23: {self.raised} observers raised, {self._failed_observers} were reported",
        )
        for asked_at, receipt in self.farewells:
            if not receipt.done:
                self.expect(
                    now <= asked_at + 2.0 + EPS, f"C26: close() at {asked_at:g} never settled"
                )
        self._outcomes()
        self.check()

    def _outcomes(self) -> None:
        for item in list(self.receipts):
            value, sequence, asleep, receipt, since = item
            if not receipt.done:
                continue
            self.receipts.remove(item)
            outcome = receipt.result()
            later = [other for at, other in self._pushes if at > sequence and other != value]
            match outcome:
                case InEffect(epoch=None):
                    true = value is None
                case InEffect(epoch=epoch):
                    true = self.tokens.get(epoch) == value
                case Refused():
                    true = value in self.ever_refused
                case NotInEffect(reason=reason) if reason.startswith("the socket ended"):
                    true = any(at > sequence for at in self._stops)
                case NotInEffect():
                    closed = self._closed_early.get(value, 0)
                    true = closed >= 2 or self.clock.time() >= since + 30.0
                case Overtaken():
                    true = bool(later)
                case Stored():
                    true = asleep or any(at > sequence for at in self._stops)
                case _:
                    true = False
            self.expect(true, f"C20: set_auth({value!r}) says {outcome!r}")

    def settled(self) -> None:
        """The invariants, when all has been quiet for long and the peer lets in who is good."""
        shown, good = self.socket.state.value, self.effective()
        expected = State.OPEN
        if not self.holders:
            expected = shown if shown in (State.IDLE, State.CLOSED) else State.IDLE
        elif good in (None, PENDING) or good in self.refused or good in DOORS:
            expected = State.AWAITING_AUTH
        elif self.gave_up:
            expected = shown if shown in (State.OPEN, State.AWAITING_AUTH) else State.OPEN
        self.expect(shown is expected, f"C3: all is quiet; state {shown!r} instead of {expected!r}")
        live = 1 if expected is State.OPEN else 0
        self.expect(self.peer.live == live, f"C26: {self.peer.live} connections instead of {live}")
        self.expect(self.peer.connections == live, f"C26: {self.peer.connections} connections left")
        if live:
            token = self.tokens[self.epoch]
            self.expect(token == good, f"C5: open with {token}, the current one is {good}")
        self._outcomes()
        for value, *_ in self.receipts:
            self.wrong(f"C20: set_auth({value!r}) never settled")
        self.check()

    def done(self) -> None:
        """The invariants at the end, everything closed."""
        self.between()
        self.expect(
            self._opened == self._closed, f"C2: {self._opened} opens, {self._closed} closes"
        )
        try:
            self._grammar.done()
        except GrammarError as error:
            self.wrong(f"C2: {str(error).splitlines()[0]}")
        for value, *_ in self.receipts:
            self.wrong(f"C20: set_auth({value!r}) did not settle")
        self.expect(self.peer.connections == 0, f"C26: {self.peer.connections} connections left")
        self.expect(not self.clock.tasks, f"C26: tasks left: {self.clock.tasks}")
        self.expect(self.clock.pending == 0, f"C26: {self.clock.pending} timers left")
        self.check()


def _led_to(event: Event) -> State | None:
    """The state that an event leads to (C2), said in another way than the library does."""
    match event:
        case Connecting():
            return State.CONNECTING
        case Opened():
            return State.OPEN
        case Closed(cause=Cause.LEFT) | Aborted(cause=Cause.LEFT):
            return State.IDLE
        case Closed(cause=Cause.CLOSE) | Aborted(cause=Cause.CLOSE) | Ended():
            return State.CLOSED
        case Closed(cause=Cause.AUTH_CHANGED | Cause.RECONNECT):
            return State.CONNECTING
        case Aborted(cause=Cause.AUTH_CHANGED | Cause.RECONNECT):
            return State.CONNECTING
        case Waiting():
            return State.WAITING
        case Closed() | ConnectFailed() | Rejected() | Aborted():
            refused = getattr(event, "verdict", None) is Verdict.AWAIT_AUTH
            parked = getattr(event, "cause", None) in (Cause.LOGGED_OUT, Cause.REFUSED)
            return State.AWAITING_AUTH if refused or parked else State.WAITING
        case AwaitingAuth():
            return State.AWAITING_AUTH
        case _:
            return None
