"""What a socket is doing, since when, why, what is next, and what the user can do about it.

:func:`explain` is a pure function of what happened, the state and the time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeGuard, TypeVar

from rxsocket.events import (
    AwaitingAuth,
    Cause,
    Closed,
    ConnectFailed,
    Connecting,
    Ended,
    Event,
    Fresh,
    Gated,
    Opened,
    Rejected,
    Stale,
    Waiting,
)
from rxsocket.explain.causes import (
    CAUSES,
    NEW_CREDENTIAL,
    attempt_reason,
    closing,
    failure,
    socket_failure,
)
from rxsocket.explain.format import amount, span
from rxsocket.explain.notes import notes_about
from rxsocket.explain.wording import READS_SLOWLY, advice, where_it_went
from rxsocket.policy.verdicts import Verdict
from rxsocket.state import State, States

T = TypeVar("T")

_NONE: Mapping[type[Event], int] = MappingProxyType({})
FRESH_STARTS = (Cause.STARTED, Cause.AUTH_CHANGED, Cause.ADDRESS_CHANGED)
"""Causes of an attempt that begins the backoff anew."""
SLOW = 5.0
"""Seconds after which an attempt without an answer is worth advice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What a socket is doing; ``str()`` of it is for people.

    Attributes:
        state: Its state.
        since: Wall time at which that began, in seconds since the epoch; ``None`` if nothing has
            happened yet.
        doing: What it is doing, and for how long.
        why: What led to it.
        next: What comes next by itself, and when.
        due: Wall time at which that comes, when it is known.
        advice: What the user can do; empty when there is nothing to be done.
        notes: What went wrong besides.
    """

    state: State
    since: float | None
    doing: str
    why: str
    next: str
    due: float | None = None
    advice: str = ""
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"{self.doing}: {self.why}" if self.why else self.doing]
        if self.next:
            lines.append(f"next: {self.next}")
        if self.advice:
            lines.append(f"you can: {self.advice}")
        lines.extend(f"note: {note}" for note in self.notes)
        return "\n".join(lines)


def explain(
    history: Sequence[Event],
    state: State,
    now: float,
    forgotten: Mapping[type[Event], int] = _NONE,
    paused: str = "",
    upcoming: str = "",
    outage: float = 0.0,
    waiting: int = 0,
    source_problem: str = "",
    asking: str = "",
) -> Explanation:
    """Explain a state by what led to it.

    Args:
        history: What happened, oldest first; without messages.
        state: The state that it led to.
        now: The wall time, in seconds since the epoch.
        forgotten: How many of each kind the history has left out since a connection opened.
        paused: Who pauses reading, and for how long; empty while nobody does.
        upcoming: What comes next while it is open: a renewal (C34), and what waits for its turn to
            be sent (C36); empty if nothing does.
        outage: Seconds for which there has been no connection, though one is wanted (C45).
        waiting: Messages that wait to be sent.
        source_problem: Why the source of credentials has nothing new; empty if it does not say.
        asking: The argument for whose answer an attempt waits, such as ``"auth"``; else empty.

    Examples:
        >>> print(explain([], State.IDLE, 0.0))
        idle: nothing has been asked of it yet
        next: nothing, until somebody subscribes
        you can: subscribe to messages, or call connect()
    """
    counted = outage, waiting
    told = paused, upcoming, source_problem, asking
    explainer = _Explainer(tuple(history), state, now, forgotten, told, counted)
    return explainer.explanation()


class _Explainer:
    """Explains one moment: a method for each state, then what these read from the history."""

    def __init__(
        self,
        history: tuple[Event, ...],
        state: State,
        now: float,
        forgotten: Mapping[type[Event], int],
        told: tuple[str, str, str, str],
        counted: tuple[float, int],
    ) -> None:
        self._counted = counted
        self._paused, self._upcoming, self._source_problem, self._asking = told
        self._history = history
        self._forgotten = forgotten
        self._state = state
        self._now = now
        self._transitions = _transitions(history)
        since = self._began()
        self._since = since
        self._lasting = "" if since is None else f" for {span(now - since)}"

    def explanation(self) -> Explanation:
        return {
            State.IDLE: self._idle,
            State.CONNECTING: self._connecting,
            State.OPEN: self._open,
            State.WAITING: self._waiting,
            State.AWAITING_AUTH: self._awaiting_auth,
            State.GATED: self._gated,
            State.CLOSED: self._closed,
        }[self._state]()

    def _idle(self) -> Explanation:
        left = bool(self._transitions)
        return self._explained(
            doing=f"idle{self._lasting}",
            why="the last subscriber left" if left else "nothing has been asked of it yet",
            next="nothing, until somebody subscribes",
            advice="subscribe to messages, or call connect()",
        )

    def _connecting(self) -> Explanation:
        attempt = self._last(Connecting)
        begun = attempt_reason(Cause.STARTED) if attempt is None else _begun(attempt)
        failed = self._failed_attempts()
        number = f" (attempt {failed + 1})" if failed else ""
        slow = self._since is not None and self._now - self._since >= SLOW
        asked, advice = self._asking, "check that the server can be reached"
        if asked:
            advice = f"look into what was given as {asked}="
        return self._explained(
            doing=f"connecting{self._way()}{self._lasting}{number}",
            why=self._outage() or begun,
            next=f"an answer of what was given as {asked}=" if asked else "the server's answer",
            advice=advice if slow else "",
        )

    def _open(self) -> Explanation:
        opened = self._last(Opened)
        which = "" if opened is None else f" (connection {opened.epoch})"
        doing = f"open{self._way()}{self._lasting}{which}"
        if self._paused:
            then = "it goes on when most of them are taken"
            return self._explained(doing=doing, why=self._paused, next=then, advice=READS_SLOWLY)
        stale = self._stale()
        if stale is not None:
            silence = span(self._now - stale.at + stale.silence)
            return self._explained(
                doing=doing,
                why=f"the peer answers, but no message came for {silence}",
                next="a message, or the end of the link",
                advice=CAUSES[Cause.STALE],
            )
        return self._explained(doing=doing, why=self._why_open(opened), next=self._upcoming)

    def _way(self) -> str:
        """How it goes to the server, if not straight, and where, if that changes."""
        attempt, opened = self._last(Connecting), self._last(Opened)
        way = f" through the proxy {attempt.proxy}" if attempt and attempt.proxy else ""
        if self._state is State.OPEN:
            return f" at {opened.url}{way}" if opened and opened.moved else way
        before = next(filter(_is_about_url, self._backwards(attempt)), None)
        is_elsewhere = attempt and before and before.url != attempt.url
        return f" to {attempt.url}{way}" if attempt and is_elsewhere else way

    def _waiting(self) -> Explanation:
        waiting = self._transitions[-1][0] if self._transitions else None
        why, advice = self._outage(), self._advice()
        if not isinstance(waiting, Waiting):
            return self._explained(
                doing="about to connect", why=why, next="an attempt, at once", advice=advice
            )
        due = waiting.at + waiting.delay
        failed = self._failed_attempts()
        number = f"attempt {failed + 1}" if failed else "an attempt"
        asked = ", which the server asked for" if waiting.retry_after == waiting.delay else ""
        now = "" if asked else "call reconnect() to try at once"
        return self._explained(
            doing=f"waiting{self._lasting}",
            why=why or attempt_reason(waiting.cause),
            next=f"{number} in {span(due - self._now)}{asked}",
            due=due,
            advice="; or ".join(filter(None, (advice, now))),
        )

    def _awaiting_auth(self) -> Explanation:
        awaiting = self._last(AwaitingAuth)
        doing = f"waiting for a credential{self._lasting}"
        if awaiting is None:
            return self._explained(
                doing=doing, why="", next="nothing, until set_auth(...) is called"
            )
        if awaiting.cause is Cause.LOGGED_OUT:
            asked = "the provider says logged out; it is asked again within 5 min"
            return self._explained(
                doing=doing,
                why="logged out",
                next=asked if awaiting.asks else "nothing, until somebody logs in",
                advice="call set_auth(...) with a credential",
            )
        if awaiting.cause is Cause.NO_CREDENTIAL:
            problem, repair = self._source_problem, "let it emit a value"
            if problem:
                problem, repair = f": {problem}", "put that right"
            return self._explained(
                doing=doing,
                why=f"the source given as auth= has not emitted one yet{problem}",
                next="an attempt, as soon as it does",
                advice=f"{repair}, or call set_auth(...)",
            )
        why = self._outage() or awaiting.reason
        return self._explained(
            doing=doing,
            why=why + where_it_went(awaiting, why),
            next=self._after_refusal(awaiting),
            advice=self._advice() or NEW_CREDENTIAL,
        )

    def _after_refusal(self, awaiting: AwaitingAuth) -> str:
        asked = "the function given as auth= is asked for another one"
        if awaiting.retry_in is None:
            return asked if awaiting.asks else "nothing, until there is another one"
        left = max(0.0, awaiting.at + awaiting.retry_in - self._now)
        again = f"this one, which was accepted before, is tried again in {span(left)}"
        return f"{asked}; {again}" if awaiting.asks else again

    def _gated(self) -> Explanation:
        gated, before = self._last(Gated), self._outage()
        reason = Cause.GATED.value if gated is None else gated.reason
        why = [before] if self._closed_by_gate() else [before, reason]
        return self._explained(
            doing=f"waiting for the gate to open{self._lasting}",
            why="; then ".join(filter(None, why)),
            next="an attempt, as soon as gate= says True",
            advice="let gate= emit True",
        )

    def _closed_by_gate(self) -> bool:
        end = self._last_end()
        return isinstance(end, Closed) and end.cause is Cause.GATED

    def _closed(self) -> Explanation:
        ended = self._last(Ended)
        again = "subscribe again to start afresh"
        doing = "ended" if self._since is None else f"ended {span(self._now - self._since)} ago"
        if ended is None:
            return self._explained(doing=doing, why=Cause.CLOSE.value, next="nothing", advice=again)
        if ended.verdict is Verdict.FAIL:
            advice = self._advice()
            return self._explained(
                doing=f"{doing} with an error",
                why="" if ended.error is None else socket_failure(ended.error),
                next="nothing",
                advice="; then ".join(filter(None, (advice, again))),
            )
        if ended.cause is Cause.PEER and isinstance(self._last_end(), Closed):
            again += "; pass clean_close='reconnect' if the server's 1000 does not mean the end"
        return self._explained(
            doing=doing,
            why=self._outage() if ended.cause is Cause.PEER else ended.cause.value,
            next="nothing",
            advice=again,
        )

    def _explained(
        self,
        *,
        doing: str,
        why: str,
        next: str,
        due: float | None = None,
        advice: str = "",
    ) -> Explanation:
        return Explanation(
            state=self._state,
            since=self._since,
            doing=doing,
            why=why,
            next=next,
            due=due,
            advice=advice,
            notes=(*notes_about(self._history, self._now, self._forgotten), *self._numbers()),
        )

    def _numbers(self) -> Iterator[str]:
        """What has been counted and is not said yet: an outage of several attempts, what waits."""
        outage, waiting = self._counted
        if self._since is not None and outage - (self._now - self._since) >= 1.0:
            yield f"no connection for {span(outage)}"
        if waiting and self._state is not State.OPEN:
            yield f"{amount(waiting, 'message')} {'waits' if waiting == 1 else 'wait'} to be sent"

    def _began(self) -> float | None:
        """When the state began: the first of the latest events that lead to it."""
        since: float | None = None
        for event, led_to in reversed(self._transitions):
            if led_to is not self._state and self._state is not State.IDLE:
                break
            since = event.at
            if self._state is not State.WAITING or isinstance(event, Waiting):
                break
        return since

    def _outage(self, until: Event | None = None) -> str:
        """How the last connection before an event ended, and what was tried since."""
        closed, failed, count = self._tried(until)
        parts: list[str] = []
        if closed is not None:
            was = f"connection {closed.epoch} was open {span(closed.uptime)}, then "
            parts.append(was + closing(closed))
        if failed is not None:
            many = "" if count == 1 else f"{count} attempts failed, the last one: "
            parts.append(("then " if parts else "") + many + failure(failed.error))
        return "; ".join(parts)

    def _failed_attempts(self) -> int:
        """How many attempts the text about the outage speaks of: what is next is counted on."""
        return self._tried()[2]

    def _tried(
        self, until: Event | None = None
    ) -> tuple[Closed | None, ConnectFailed | Rejected | None, int]:
        """The last connection before an event, the last failure since, and how many there were."""
        closed: Closed | None = None
        failures: list[ConnectFailed | Rejected] = []
        counted = 0
        for event in self._backwards(until):
            match event:
                case Ended(cause=cause) if cause in (Cause.CLOSE, Cause.LOOP_ENDED):
                    break
                case Closed():
                    closed = event
                    break
                case ConnectFailed() | Rejected():
                    failures.append(event)
                case Connecting(attempt=attempt, cause=cause):
                    counted = max(counted, attempt if failures else 0)
                    if failures and cause in FRESH_STARTS:
                        break
                case _:
                    pass
        count = len(failures) if closed is not None else max(counted, len(failures))
        return closed, failures[0] if failures else None, count

    def _backwards(self, before: Event | None) -> Iterator[Event]:
        events = reversed(self._history)
        if before is not None:
            for event in events:
                if event is before:
                    break
        yield from events

    def _advice(self) -> str:
        end = self._last_end()
        return "" if end is None else advice(end)

    def _stale(self) -> Stale | None:
        for event in reversed(self._history):
            if isinstance(event, Stale):
                return event
            if isinstance(event, (Fresh, Opened)):
                return None
        return None

    def _why_open(self, opened: Opened | None) -> str:
        if opened is None or opened.gap is None:
            return ""
        old = self._took_over(opened)
        if old is not None:
            attempt = self._attempt(opened.epoch)
            reason = attempt_reason(opened.cause) if attempt is None else _begun(attempt)
            return f"took over from connection {old.epoch} without a gap: {reason}"
        attempts = "" if opened.attempts == 1 else f" and {opened.attempts} attempts"
        before = self._outage(opened)
        text = f"reconnected after {span(opened.gap)}{attempts}"
        return f"{text}; before that, {before}" if before else text

    def _took_over(self, opened: Opened) -> Closed | None:
        """The connection beside which it was made, if that was handed over to it (C13)."""
        for event in self._backwards(opened):
            if isinstance(event, Closed):
                return event if event.cause is Cause.HANDED_OVER else None
        return None

    def _last_end(self) -> Closed | ConnectFailed | Rejected | None:
        for event in reversed(self._history):
            if isinstance(event, (Closed, ConnectFailed, Rejected)):
                return event
        return None

    def _attempt(self, epoch: int) -> Connecting | None:
        attempts = (event for event in reversed(self._history) if isinstance(event, Connecting))
        return next((attempt for attempt in attempts if attempt.epoch == epoch), None)

    def _last(self, kind: type[T]) -> T | None:
        return next((e for e in reversed(self._history) if isinstance(e, kind)), None)


def _is_about_url(event: Event) -> TypeGuard[Connecting | Opened]:
    return isinstance(event, (Connecting, Opened)) and bool(event.url)


def _begun(attempt: Connecting) -> str:
    return attempt_reason(attempt.cause, attempt.reason)


def _transitions(history: Sequence[Event]) -> list[tuple[Event, State]]:
    """The events that lead to a state; one beside an open connection does not (C13)."""
    states = States()
    led = [(event, states.after(event)) for event in history]
    return [
        (event, state)
        for event, state in led
        if state is not None and (state is not State.OPEN or isinstance(event, Opened))
    ]
