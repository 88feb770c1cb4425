"""Random renewals of a connection, in virtual time (C13, C34), behind a gate that turns (C35).

The peer broadcasts numbers to every connection that is open. Each connection has a lag of its own
on the way to us, so two of them are seldom at the same number.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from internals import Accept, Fake, Payload, PeerConnection, Script
from reactivex import Observable, operators
from reactivex.subject import BehaviorSubject
from websockets.datastructures import Headers

from rxsocket import (
    Backoff,
    Cause,
    Closed,
    Connecting,
    Event,
    InEffect,
    NotInEffect,
    ObserverFailed,
    Opened,
    Overtaken,
    Refused,
    Request,
    Signal,
    Socket,
    State,
    Stored,
    handover,
    in_band,
    reconnect,
)
from rxsocket.testing import Grammar, GrammarError, Handshake, accept, clock, hang, reject

__all__ = ["BreakingRenewals", "HandoverRenewals", "InBandRenewals", "RenewalMachine"]

GOOD = ("ann-1", "ann-2", "ann-3", "bob-1", "bob-2")
"""Who it is, then which of their tokens."""
BAD = ("ann-bad", "ann-late", "bob-bad")
SAME = st.sampled_from(["ann-1", "ann-2", "ann-3", "ann-2", "ann-3", "ann-bad", "ann-late"])
ANYBODY = st.sampled_from([*GOOD, *BAD, None])
DOORS: dict[str | None, Script] = {
    "ann-bad": reject(401),
    "ann-late": accept().wait(0.01).close(4403),
    "bob-bad": reject(403),
}
SCRIPTS = st.sampled_from([reject(401), reject(503), hang(), accept().close(4403), accept().drop()])
LAGS = (0.0, 0.0, 0.02, 0.3)
AFTERMATH = 0.6
"""Seconds in which a number may get lost after the peer cut a connection: what is on the way."""
TIMES = st.sampled_from([0.0, 0.001, 0.01, 0.03, 0.05, 0.2, 0.31, 1.0, 2.1, 4.0, 12.0])
THEN = st.sampled_from([None, None, 0.0, 0.01, 0.03, 0.06, 0.35, 1.5, 6.0])
AUTH = "AUTH "
SILENT = logging.NullHandler()


def identity(credential: Any) -> str:
    """Whose token it is."""
    return str(credential["token"]).partition("-")[0]


class Broken(AssertionError):
    """A rule of the contract does not hold."""


class LaggingPeer(Fake):
    """It knows which epoch has which connection, and how long each is on its way to us."""

    def __init__(self, latency: float, lags: random.Random) -> None:
        super().__init__((), None, latency)
        self.epoch = 0
        self.peer_of: dict[int, int] = {}
        self.token_of: dict[int, str | None] = {}
        self.refused: set[str | None] = set()
        self.answers: list[str | None] = []
        self.cut_at = -1e9
        self._lags = lags

    def __call__(self, request: Request) -> Observable[Signal]:
        epoch = self.epoch

        def linked(signal: Signal) -> None:
            peer = getattr(signal, "_peer", None)
            if peer is not None:
                self.peer_of[epoch] = peer.number

        return super().__call__(request).pipe(operators.do_action(linked))

    def accept_dial(self, target: str, headers: Headers) -> tuple[Handshake | None, Script]:
        handshake, script = super().accept_dial(target, headers)
        if handshake is not None:
            if isinstance(script, Accept):
                script = DOORS.get(handshake.credential, script)
            self.token_of[handshake.number] = handshake.credential
            if not (isinstance(script, Accept) and not script.steps):
                self.refused.add(handshake.credential)
            if isinstance(script, Accept) and script.steps:
                self.cut_at = handshake.at + 0.01
        return handshake, script

    def add_connection(self, connection: PeerConnection) -> None:
        lag, link = self._lags.choice(LAGS), getattr(connection, "link")  # noqa: B009
        read, take = link._when_reading, connection.on_message

        def late(what: Callable[[], None]) -> None:
            if lag and connection.number in self.peer_of.values():
                connection.loop.call_later(lag, read, what)
            else:
                read(what)  # the link itself, first of all

        def answered(message: Payload) -> None:
            take(message)
            self._answer(connection, message)

        link._when_reading = late
        connection.on_message = answered  # type: ignore[method-assign]
        super().add_connection(connection)

    def _answer(self, connection: PeerConnection, message: Payload) -> None:
        token = str(message).removeprefix(AUTH)
        answer = self.answers.pop(0) if self.answers else "yes"
        if token in BAD:
            answer = "no"
        if answer == "yes":
            self.token_of[connection.number] = token
        else:
            self.refused.add(token)
        if answer is not None:
            connection.deliver(answer)

    def calm(self) -> None:
        """From now on let in who is good."""
        self.answers.clear()
        with self.log.changed:
            self._queue.clear()


class RenewalMachine(RuleBasedStateMachine):
    """One socket, one peer, one clock; the strategy is in the subclasses."""

    most = 1
    """Connections at a time."""

    def strategy(self) -> Any:
        raise NotImplementedError

    def __init__(self) -> None:
        super().__init__()
        self.clock = clock()
        self.clock.__enter__()
        self.begun = False

    @initialize(
        latency=st.sampled_from([0.0, 0.01, 0.2]),
        seed=st.integers(0, 7),
        max_age=st.sampled_from([None, None, 30.0]),
        choice=st.integers(0, 3),
    )
    def begin(self, latency: float, seed: int, max_age: float | None, choice: int) -> None:
        self.choice = choice
        self.lines: list[str] = []
        self.broken: list[str] = []
        self.number = 0
        self.due: set[int] = set()
        self.got: list[int] = []
        self.receipts: list[tuple[str | None, int, Any]] = []
        self.sets: list[str | None] = []
        self.left: dict[int, float] = {}
        self.has_deadline = False
        self.gate = BehaviorSubject(True)
        self.opens: list[int] = []
        self.closed_early: list[str | None] = []
        self.slept = 0
        self.last: str | None = "ann-1"
        self.grammar = Grammar()
        self.peer = LaggingPeer(latency, random.Random(seed))
        self.socket = Socket(
            self.peer.url,
            auth={"token": "ann-1"},
            transport=self.peer,
            identity=identity,
            on_auth_change=self.strategy(),
            max_age=max_age,
            gate=self.gate,
            backoff=Backoff(random=random.Random(seed), refused_retry=None),
        )
        self.note(f"begin: latency {latency}, seed {seed}, max_age {max_age}, choice {choice}")
        self.watch("events", self.event)
        self.watch("messages", self.message)
        self.held: Any = self.socket.connect()
        self.logger = logging.getLogger("rxsocket")
        self.propagate, self.logger.propagate = self.logger.propagate, False
        self.logger.addHandler(SILENT)
        self.begun = True
        self.clock.advance(7.0)  # stable (C9)

    # --- what comes

    def note(self, line: str) -> None:
        self.lines.append(f"t={self.clock.time():<11.6f} {line}")

    def expect(self, holds: object, rule: str) -> None:
        if not holds:
            self.note(f"!!! {rule}")
            self.broken.append(rule)

    def watch(self, name: str, observer: Callable[[Any], None]) -> None:
        """Look at a stream; when it ended, at what it is then."""

        def again(_: object = None) -> None:
            self.watch(name, observer)

        getattr(self.socket, name).passive().subscribe(observer, again, again)

    def event(self, event: Event) -> None:
        self.note(f"  {event!r}")
        try:
            self.grammar.check(event)
        except GrammarError as error:
            self.expect(False, f"C2: {str(error).splitlines()[0]}")
        match event:
            case Connecting(epoch=epoch):
                self.peer.epoch = epoch
            case Opened(epoch=epoch):
                self.opens.append(epoch)
            case Closed(epoch=epoch, cause=cause):
                if cause is Cause.PEER and event.uptime <= 0.25:
                    peer = self.peer.peer_of.get(epoch, 0)
                    self.closed_early.append(self.peer.token_of.get(peer))
                if epoch in self.peer.peer_of:
                    self.left[self.peer.peer_of[epoch]] = self.clock.time()
                if cause is not Cause.HANDED_OVER or self.has_deadline:
                    self.due.clear()
                self.has_deadline = False
            case ObserverFailed():
                self.expect(False, f"C23: {event!r}")
            case _:
                pass

    def message(self, message: str) -> None:
        self.expect(message.isdigit(), f"C13: {message!r} is an answer; nobody should get it")
        number = int(message) if message.isdigit() else 0
        before = self.got[-1] if self.got else 0
        self.expect(number > before, f"C13: {number} after {before}")
        missing = {due for due in self.due if due < number}
        self.expect(not missing, f"C13: {missing} are missing before {number}")
        self.due -= missing | {number}
        self.got.append(number)

    # --- the rules

    def then(self, seconds: float | None) -> None:
        if seconds is not None:
            self.note(f"{seconds:g} s pass")
            self.clock.advance(seconds)

    def set(self, value: str | None) -> None:
        self.note(f"set_auth({value!r})")
        self.sets.append(value)
        self.last = value
        receipt = self.socket.set_auth(None if value is None else {"token": value})
        self.receipts.append((value, len(self.sets), receipt, self.clock.time()))

    @rule(value=SAME, then=THEN)
    def renew(self, value: str, then: float | None) -> None:
        self.set(value)
        self.then(then)

    @rule(value=ANYBODY, then=THEN)
    def change(self, value: str | None, then: float | None) -> None:
        self.set(value)
        self.then(then)

    @rule(within=st.sampled_from([None, None, 0.0, 0.5, 4.0, 30.0]), then=THEN)
    def told(self, within: float | None, then: float | None) -> None:
        self.note(f"renew(within={within})")
        self.has_deadline = self.has_deadline or within is not None
        self.socket.renew(within=within, why="GoAway")
        self.then(then)

    @rule(is_open=st.booleans(), then=THEN)
    def turn(self, is_open: bool, then: float | None) -> None:
        self.note(f"the gate says {is_open}")
        self.slept += not is_open
        self.gate.on_next(is_open)
        self.then(then)

    @rule(times=st.integers(1, 4), then=THEN)
    def speak(self, times: int, then: float | None) -> None:
        self.say(times)
        self.then(then)

    def say(self, times: int) -> None:
        now, live = self.clock.time(), [v for v in self.peer.visits if not v.closing]
        frozen = any(visit.frozen for visit in self.peer.visits)
        delivers = self.socket.state.value is State.OPEN and any(
            visit.number == self.peer.peer_of.get(self.opens[-1]) for visit in live
        )
        for _ in range(times):
            self.number += 1
            if delivers and not frozen and now > self.peer.cut_at + AFTERMATH:
                self.due.add(self.number)
            for visit in live:
                visit.deliver(str(self.number))
        self.note(f"the peer says {self.number} on {[visit.number for visit in live]}")

    @rule(script=SCRIPTS, then=THEN)
    def peer_will(self, script: Any, then: float | None) -> None:
        self.note(f"the peer will {script}")
        self.peer.script(script)
        self.then(then)

    @rule(answer=st.sampled_from(["no", None, "yes"]))
    def peer_will_answer(self, answer: str | None) -> None:
        self.note(f"the peer will answer {answer!r}")
        self.peer.answers.append(answer)

    @precondition(lambda self: self.peer.visits)
    @rule(
        which=st.sampled_from([0, -1]), how=st.sampled_from(["drop", "close", "freeze"]), then=THEN
    )
    def cut(self, which: int, how: str, then: float | None) -> None:
        visit = self.peer.visits[which]
        self.note(f"the peer: {how} of its connection {visit.number}")
        self.peer.cut_at = self.clock.time()
        self.due.clear()
        if how == "close":
            visit.close(1012, "")
        else:
            getattr(visit, how)()
        self.then(then)

    @rule(seconds=TIMES)
    def time_passes(self, seconds: float) -> None:
        self.then(seconds)

    @rule(then=THEN, again=st.booleans())
    def leave(self, then: float | None, again: bool) -> None:
        self.note("dispose")
        self.slept += 1
        self.held.dispose()
        if again:
            self.held = self.socket.connect()
        self.then(then)

    @rule(then=THEN)
    def close(self, then: float | None) -> None:
        self.note("close()")
        self.slept += 1
        self.socket.close()
        self.then(then)

    @rule()
    def connect(self) -> None:
        self.note("connect()")
        self.connect_anew()

    def connect_anew(self) -> None:
        before, self.held = self.held, self.socket.connect()
        before.dispose()

    @rule()
    def all_is_quiet(self) -> None:
        """Whatever was on its way has settled."""
        self.note("all is quiet")
        self.peer.calm()
        self.gate.on_next(True)
        self.connect_anew()
        for _ in range(25):
            self.say(1)
            self.clock.advance(5.0)
        if self.socket.state.value is State.CONNECTING:  # max_age was reached just now
            self.clock.advance(1.0)
        for value, _, receipt, _ in self.receipts:
            self.expect(receipt.done, f"C20: set_auth({value!r}) never settled")
        self.expect(not self.due, f"C13: {self.due} never came")
        state = self.socket.state.value
        refused = self.last in BAD or self.last in self.peer.refused
        if self.last is None:
            self.expect(state is State.AWAITING_AUTH, f"C11: {state!r}, although logged out")
        elif not refused:
            self.expect(state is State.OPEN, f"C13: {state!r}, with {self.last}")
            in_use = self.peer.token_of.get(self.peer.peer_of.get(self.opens[-1], 0))
            self.expect(in_use == self.last, f"C13: {in_use} is in use, the last is {self.last}")

    @invariant()
    def the_contract_holds(self) -> None:
        if not self.begun:
            return
        self.settle()
        live = self.peer.live
        self.expect(live <= self.most, f"C13: {live} connections at a time")
        now, here = self.clock.time(), {visit.number for visit in self.peer.visits}
        for number, at in self.left.items():
            self.expect(
                number not in here or now <= at + 2.0 + 1e-4,
                f"C5: connection {number} is there {now - at:g} s after it was left",
            )
        self.check()

    def is_frozen(self, number: int) -> bool:
        """Whether that peer's end stands still: it has a token that it never said a word about."""
        return any(visit.frozen for visit in self.peer.visits if visit.number == number)

    def settle(self) -> None:
        for item in [item for item in self.receipts if item[2].done]:
            self.receipts.remove(item)
            value, number, receipt, since = item
            outcome = receipt.result()
            self.note(f"set_auth({value!r}) was {outcome!r}")
            match outcome:
                case InEffect(epoch=None):
                    true = value is None
                case InEffect(epoch=epoch):
                    peer = self.peer.peer_of.get(epoch, 0)
                    true = self.peer.token_of.get(peer) == value or self.is_frozen(peer)
                    true = true or any(v != value for v in self.sets[number:])
                case Refused():
                    # A frozen peer does not answer, which is a no to a renewal in band.
                    peer = self.peer.peer_of.get(self.opens[-1], 0) if self.opens else 0
                    true = value in BAD or value in self.peer.refused or self.is_frozen(peer)
                case NotInEffect():
                    closed = [token for token in self.closed_early if token == value]
                    true = len(closed) >= 2 or self.clock.time() >= since + 30.0
                case Overtaken():
                    true = any(later != value for later in self.sets[number:])
                case Stored():
                    true = self.slept > 0
                case _:
                    true = False
            self.expect(true, f"C20: set_auth({value!r}) says {outcome!r}")

    def check(self) -> None:
        if self.broken:
            broken, self.begun = self.broken, False
            raise Broken("\n".join([*broken, *self.lines, "the peer:", *self.peer.history[-30:]]))

    def teardown(self) -> None:
        try:
            if self.begun:
                self.end()
        finally:
            if hasattr(self, "logger"):
                self.logger.propagate = self.propagate
                self.logger.removeHandler(SILENT)
            self.clock.__exit__(None, None, None)

    def end(self) -> None:
        """Everything is closed, and nothing is left."""
        self.note("the end")
        self.slept += 1
        self.held.dispose()
        self.socket.close()
        self.clock.advance(12.0)
        self.the_contract_holds()
        try:
            self.grammar.done()
        except GrammarError as error:
            self.expect(False, f"C2: {str(error).splitlines()[0]}")
        self.expect(not self.receipts, f"C20: {self.receipts} never settled")
        self.expect(self.peer.connections == 0, f"C26: {self.peer.connections} connections left")
        self.expect(not self.clock.tasks, f"C26: tasks left: {self.clock.tasks}")
        self.expect(self.clock.pending == 0, f"C26: {self.clock.pending} timers left")
        self.check()


class HandoverRenewals(RenewalMachine):
    """The next connection is made ready beside the one that delivers."""

    most = 2

    def strategy(self) -> Any:
        ready: Any = ["open", "open", "message", lambda message: int(message) % 2 == 0][self.choice]
        return handover(ready=ready, dedupe=int, timeout=3.0)


class InBandRenewals(RenewalMachine):
    """The credential goes over the connection that is open."""

    def strategy(self) -> Any:
        return in_band(
            lambda credential: AUTH + str(credential["token"]),
            accepted=lambda message: message == "yes",
            rejected=lambda message: message == "no",
            timeout=3.0,
            otherwise="keep" if self.choice % 2 else "reconnect",
        )


class BreakingRenewals(RenewalMachine):
    """The old one is closed, then the next one is made."""

    def strategy(self) -> Any:
        return reconnect()
