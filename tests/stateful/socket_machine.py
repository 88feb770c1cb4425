"""Random interleavings of everything one can do to a socket and its peer, in virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from functools import wraps
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from internals import engine_of
from model import ANONYMOUS, PENDING, PROVIDER, Model, ModelPeer
from reactivex.subject import BehaviorSubject, Subject

from rxsocket import Backoff, ObserverFailed, Socket, Unauthorized
from rxsocket.testing import clock, hang, reject, unreachable

__all__ = ["BehaviorAuth", "ProviderAuth", "SubjectAuth", "ValueAuth"]

GOOD = ("a", "b", "c")
BAD = ("refused", "forbidden", "expired", "policy")
VALUES = st.sampled_from([*GOOD, *GOOD, *BAD, None])
RUBBISH = 42
STREAMS = ("messages", "events", "state", "sessions", "opens", "closes", "errors")
HOLDING = {"messages", "events", "sessions", "opens", "closes"}
TIMES = st.sampled_from(
    (0.0, 0.001, 0.01, 0.02, 0.049, 0.05, 0.051, 0.1, 0.5, 0.99, 1.0, 2.0, 5.0, 11.0, 42.0, 301.0)
)
SCRIPTS = st.sampled_from(
    [
        reject(429, {"Retry-After": "3"}),
        reject(429, {"Retry-After": "120"}),
        reject(503),
        reject(503).delay(0.5),
        reject(404),
        unreachable(),
        hang(),
    ]
)
DEEDS = ("raise", "set_auth", "set_auth", "close", "reconnect", "leave", "leave all", "subscribe")
DEEDS += ("connect", "leave and subscribe", "close and subscribe")


THEN = st.sampled_from([None, None, None, 0.0, 0.01, 0.03, 0.05, 0.06, 0.3, 1.5, 6.0])


def act(**strategies: Any) -> Any:
    """A rule that mostly finds the socket running, and after which some time may pass."""

    def decorate(function: Callable[..., None]) -> Any:
        @wraps(function)
        def action(
            self: SocketMachine, *, awake: bool, then: float | None, **arguments: Any
        ) -> None:
            if awake and not self.model.holders:
                self.do_connect()
            function(self, **arguments)
            if then is not None:
                self.do_pass(then)

        return rule(awake=st.sampled_from([False, True, True, True]), then=THEN, **strategies)(
            action
        )

    return decorate


def auth(value: str | None) -> dict[str, str] | None:
    return None if value is None else {"token": value}


class Watching:
    """An observer of one stream that checks what it is told, and may do something once."""

    def __init__(
        self, machine: SocketMachine, name: str, deed: str | None, after: int, value: str | None
    ) -> None:
        self.machine, self.model, self.name = machine, machine.model, name
        self.number = machine.number()
        self.label = f"{name}#{self.number}"
        self.deed, self.after, self.value = deed, after, value
        self.over = False
        self._last: Any = None
        if name in HOLDING:
            self.model.hold(self.number)
        self._subscription: Any = None
        stream = getattr(machine.socket, name)
        self._subscription = stream.subscribe(self.on_next, self.on_error, self.on_completed)

    def dispose(self) -> None:
        if self._subscription is None:
            return  # still subscribing: it has nothing to dispose yet
        if not self.over:
            self.over = True
            self.model.let_go(self.number)
        self._subscription.dispose()

    def on_next(self, value: Any) -> None:
        model = self.model
        model.expect(not self.over, f"C23: {self.label} is told {value!r} after its end")
        model.expect(model.depth == 0, f"C24: {self.label} is called within another observer")
        self._look(value)
        self.after -= 1
        if self.deed is None or self.after >= 0:
            return
        deed, self.deed = self.deed, None
        model.activity += 1
        model.note(f"  {self.label}, told {value!r}: {deed}")
        model.depth += 1
        try:
            self._do(deed)
        finally:
            model.depth -= 1

    def on_error(self, error: Exception) -> None:
        self._ended()

    def on_completed(self) -> None:
        self._ended()

    def _ended(self) -> None:
        self.model.expect(not self.over, f"C23: {self.label} ends after its end")
        self.model.expect(
            self.number not in self.model.holders,
            f"C3: {self.label} has ended, but it came after what ended the socket",
        )
        self.over = True

    def _look(self, value: Any) -> None:
        model = self.model
        if self.name == "messages":
            number = int(value.partition(":")[2])
            model.expect(number > (self._last or 0), f"C4: {value} after {self._last}")
            self._last = number
        elif self.name == "state":
            model.expect(value is not self._last, f"C4: {value!r} twice in a row")
            current = self.machine.socket.state.value
            model.expect(value is current, f"C4: told {value!r}, it is {current!r}")
            self._last = value
        elif self.name == "sessions":
            session = Inner(self, value.epoch)
            value.subscribe(session.on_next, None, session.on_completed)
        elif self.name == "errors" and isinstance(value, ObserverFailed):
            model.expect(isinstance(value.error, Deliberate), f"C23: {value.error!r}")

    def _do(self, deed: str) -> None:
        machine = self.machine
        match deed:
            case "raise":
                self.over = True
                self.model.raised += 1
                self.model.let_go(self.number)
                raise Deliberate(self.label)
            case "set_auth":
                machine.do_set_auth(self.value)
            case "close":
                machine.do_close()
            case "reconnect":
                machine.do_reconnect()
            case "leave":
                self.dispose()
            case "leave all":
                machine.do_leave_all()
            case "subscribe":
                machine.do_subscribe("messages")
            case "connect":
                machine.do_connect()
            case "leave and subscribe":
                machine.do_leave_all()
                machine.do_subscribe("events")
            case "close and subscribe":
                machine.do_close()
                machine.do_subscribe("closes")


class Inner:
    """An observer of one session."""

    def __init__(self, outer: Watching, epoch: int) -> None:
        self.model, self.label, self.epoch = outer.model, f"{outer.label}/{epoch}", epoch
        self.over = False

    def on_next(self, message: str) -> None:
        mine = self.model.visits.get(self.epoch)
        self.model.expect(not self.over, f"C2: {self.label} is told {message} after its end")
        self.model.expect(message.startswith(f"{mine}:"), f"C2: {self.label} is told {message}")

    def on_completed(self) -> None:
        self.over = True


class Deliberate(Exception):
    """What an observer raises."""


class Holding:
    """A ``connect()``."""

    def __init__(self, machine: SocketMachine) -> None:
        self.model, self.number = machine.model, machine.number()
        self.label = f"connect#{self.number}"
        self.model.hold(self.number)
        self._connected = machine.socket.connect()

    def dispose(self) -> None:
        self.model.let_go(self.number)
        self._connected.dispose()


class SocketMachine(RuleBasedStateMachine):
    """One socket, one peer, one clock. How the credential comes is in the subclasses."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = clock()
        self.clock.__enter__()
        self.begun = False
        self._count = 0
        self.things: list[Watching | Holding] = []

    def make_auth(self) -> dict[str, Any]:
        """The arguments for the socket that say where its credential comes from."""
        raise NotImplementedError

    def watch(self) -> None:
        """Learn what the source of credentials does."""

    @initialize(
        latency=st.sampled_from([0.0, 0.01, 0.2]),
        linger=st.sampled_from([0.0, 0.0, 3.0]),
        seed=st.integers(0, 3),
        first=st.sampled_from(["a", "a", "refused", None, ANONYMOUS]),
        connected=st.booleans(),
    )
    def begin(
        self, latency: float, linger: float, seed: int, first: str | None, connected: bool
    ) -> None:
        peer = ModelPeer(latency)
        self.peer, self.first = peer, first
        self.model = Model(self.clock, peer, linger)
        self.socket = Socket(
            peer.url,
            transport=peer,
            backoff=Backoff(random=random.Random(seed), refused_retry=None),
            linger=linger,
            **self.make_auth(),
        )
        self.model.follow(self.socket)
        self.watch()
        self.begun = True
        if connected:
            self.do_connect()

    def number(self) -> int:
        self._count += 1
        return self._count

    def note(self, line: str) -> None:
        self.model.note(f"> {line}")

    # --- what may also be done from within an observer

    def do_set_auth(self, value: str | None) -> None:
        self.note(f"set_auth({value!r})")
        asleep, sequence = self.model.asleep, self.model.pushed(value)
        self.model.will_set(value, sequence, asleep, self.socket.set_auth(auth(value)))

    def do_close(self) -> None:
        self.note("close()")
        self.model.closes()
        self.model.farewells.append((self.clock.time(), self.socket.close()))

    def do_reconnect(self) -> None:
        self.note("reconnect()")
        self.model.reconnects()
        self.socket.reconnect()

    def do_subscribe(
        self, name: str, deed: str | None = None, after: int = 0, value: str | None = None
    ) -> None:
        doing = "" if deed is None else f" that will {deed} {value or ''} after {after}"
        self.note(f"subscribe to {name}{doing}")
        self.things.append(Watching(self, name, deed, after, value))

    def do_connect(self) -> None:
        self.note("connect()")
        self.things.append(Holding(self))

    def do_leave_all(self) -> None:
        things, self.things = self.things, []
        for thing in things:
            self.note(f"dispose {thing.label}")
            thing.dispose()

    def do_pass(self, seconds: float) -> None:
        self.note(f"{seconds:g} s pass")
        self.clock.advance(seconds)
        self.model.between()

    # --- the rules

    @act(value=VALUES)
    def set_auth(self, value: str | None) -> None:
        self.do_set_auth(value)

    @act(values=st.lists(VALUES, min_size=2, max_size=6))
    def burst(self, values: list[str | None]) -> None:
        for value in values:
            self.do_set_auth(value)

    @act()
    def close(self) -> None:
        self.do_close()

    @act()
    def reconnect(self) -> None:
        self.do_reconnect()

    @act(
        name=st.sampled_from(STREAMS),
        deed=st.sampled_from([None, *DEEDS]),
        after=st.sampled_from([0, 0, 1, 2, 3]),
        value=VALUES,
    )
    def subscribe(self, name: str, deed: str | None, after: int, value: str | None) -> None:
        self.do_subscribe(name, deed, after, value)

    @rule()
    def connect(self) -> None:
        self.do_connect()

    @precondition(lambda self: self.things)
    @rule(data=st.integers(0, 5))
    def dispose(self, data: int) -> None:
        thing = self.things.pop(data % len(self.things))
        self.note(f"dispose {thing.label}")
        thing.dispose()
        if data == 5:
            thing.dispose()

    @precondition(lambda self: self.things)
    @rule(again=st.booleans())
    def leave(self, again: bool) -> None:
        self.do_leave_all()
        if again:
            self.do_subscribe("messages")

    @rule(seconds=TIMES)
    def pass_time(self, seconds: float) -> None:
        self.do_pass(seconds)

    @act(script=SCRIPTS, times=st.sampled_from([1, 1, 2, 6]))
    def peer_will(self, script: Any, times: int) -> None:
        self.note(f"the peer will {script} {times} times")
        self.peer.script(*[script] * times)

    @act(code=st.sampled_from([1000, 1001, 1005, 1008, 1011, 1012, 4401]))
    def peer_closes(self, code: int) -> None:
        self.note(f"the peer closes with {code}")
        self.peer.close(code)

    @act()
    def peer_drops(self) -> None:
        self.note("the peer drops")
        self.peer.drop()

    @act()
    def peer_freezes(self) -> None:
        self.note("the peer freezes")
        for visit in self.peer.visits:
            visit.freeze()
        self.model.froze()

    @act(times=st.integers(1, 3))
    def peer_speaks(self, times: int) -> None:
        self.note(f"the peer speaks {times} times")
        self.peer.speak(times)

    @rule()
    def all_is_quiet(self) -> None:
        self.note("all is quiet")
        self.peer.calm()
        for _ in range(20):
            before = self.model.activity
            self.clock.advance(700)
            if self.model.activity == before:
                break
        self.model.settled()

    @invariant()
    def the_contract_holds(self) -> None:
        if self.begun:
            self.model.between()

    def teardown(self) -> None:
        try:
            if self.begun:
                self._close_all()
        finally:
            self.clock.__exit__(None, None, None)

    def _close_all(self) -> None:
        try:
            self.note("the end")
            for _ in range(20):  # an observer may subscribe again when the socket ends
                self.do_leave_all()
                self.do_close()
                self.clock.advance(12.0)
                if not (self.model.holders or self.things):
                    break
            if not self.model.failed:
                self.model.done()
        finally:
            self.model.leave()


class ValueAuth(SocketMachine):
    """The credential is a plain value."""

    def make_auth(self) -> dict[str, Any]:
        self.model.begin(self.first)
        return {} if self.first == ANONYMOUS else {"auth": auth(self.first)}


class _SourceAuth(SocketMachine):
    """The credential comes from an Observable."""

    source: Subject[Any]
    seen: Any = PENDING
    ended = False

    def do_emit(self, value: str | None) -> None:
        self.note(f"the source emits {value!r}")
        self.model.activity += 1
        if self.source.observers:
            self.seen = value
            self.model.pushed(value)
        self.source.on_next(auth(value))

    @act(value=VALUES)
    def emit(self, value: str | None) -> None:
        self.do_emit(value)

    @rule()
    def emit_rubbish(self) -> None:
        self.note("the source emits rubbish")
        self.source.on_next(RUBBISH)

    @act(how=st.sampled_from(["completes", "fails"]), sure=st.integers(0, 4))
    def source_ends(self, how: str, sure: int) -> None:
        if sure:
            return
        self.note(f"the source {how}")
        self.ended = True
        if how == "completes":
            self.source.on_completed()
        else:
            self.source.on_error(ValueError("the source failed"))


class SubjectAuth(_SourceAuth):
    """An Observable that replays nothing."""

    def make_auth(self) -> dict[str, Any]:
        self.model.begin(PENDING)
        self.source = Subject()
        return {"auth": self.source}


class BehaviorAuth(_SourceAuth):
    """An Observable that replays its value to each subscriber."""

    def make_auth(self) -> dict[str, Any]:
        first = None if self.first == ANONYMOUS else self.first
        self.seen = first
        self.model.begin(first)
        self.source = BehaviorSubject(auth(first))
        return {"auth": self.source}

    def watch(self) -> None:
        engine = engine_of(self.socket)
        follow = engine.auth._follow

        def followed() -> Any:
            value = self.source.value
            value = value["token"] if isinstance(value, dict) else value
            if not self.ended and value not in (self.seen, RUBBISH):
                self.note(f"the source replays {value!r}")
                self.seen = value
                self.model.begin(value)
            return follow()

        engine.auth._follow = followed


class ProviderAuth(SocketMachine):
    """The credential is asked for before each attempt."""

    def make_auth(self) -> dict[str, Any]:
        self.model.begin(PROVIDER)
        self.model.provided = True
        self.answers: list[tuple[float, str]] = []
        return {"auth": self.provide}

    async def provide(self) -> dict[str, str] | None:
        delay, answer = self.answers.pop(0) if self.answers else (0.0, "fresh")
        self.model.note(f"the provider is asked: {answer} in {delay:g} s")
        self.model.activity += 1
        await asyncio.sleep(delay)
        match answer:
            case "fails":
                raise OSError("the provider failed")
            case "cancelled":
                raise asyncio.CancelledError
            case "gives up":
                self.model.gave_up = True
                raise Unauthorized("the provider gave up")
            case "nobody":
                return None
            case "fresh":
                answer = f"p{self.number()}"
        self.model.note(f"the provider says {answer}")
        self.model.minted.append(answer)
        return auth(answer)

    @act(
        delay=st.sampled_from([0.0, 0.0, 0.01, 0.3, 3.0, 11.0]),
        answer=st.sampled_from(
            ["fresh", "a", "b", "refused", "expired", "fails", "cancelled", "gives up", "nobody"]
        ),
        times=st.sampled_from([1, 1, 3]),
    )
    def provider_will(self, delay: float, answer: str, times: int) -> None:
        self.note(f"the provider will say {answer} after {delay:g} s, {times} times")
        self.answers += [(delay, answer)] * times
