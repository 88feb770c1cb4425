"""What is counted since the last stable connection, and the verdicts made from it (C15, C16)."""

from __future__ import annotations

from dataclasses import replace

from rxsocket.auth.providers import Ask, Reason
from rxsocket.engine.options import SocketOptions
from rxsocket.errors import Attempted, HandshakeRefused, NoMoreEvents
from rxsocket.policy.verdicts import End, Judgement, Verdict, Verdicts, kind

FIRST_ASK = Ask(1, Reason.FIRST)
ATTEMPTS_KEPT = 20
"""Attempts that a failure shows."""


class RetryState:
    """Counts attempts and failures; a connection that was stable starts them anew.

    It has no clock: whoever asks says what time it is, on the loop's clock.

    Attributes:
        attempts: Attempts since then.
        failures: Backoffs since then.
        tried: What the last of them ended with.
        ask: What a provider would be told now.
    """

    def __init__(self, options: SocketOptions) -> None:
        self._options = options
        self.attempts = 0
        self.failures = 0
        self.tried: tuple[Attempted, ...] = ()
        self.ask = FIRST_ASK
        self._since: float | None = None
        self._same: object = None
        self._in_a_row = 0
        self._asked_at_once = False
        self._spared = 0
        self._is_spared = False

    def restart(self, now: float) -> None:
        """A connection that was stable has ended: what is counted counts from here."""
        self.attempts = self.failures = self._in_a_row = self._spared = 0
        self._asked_at_once = False
        self._since = now
        self.tried = ()

    def begin(self, now: float) -> int:
        """An attempt begins; return its number."""
        self.attempts += 1
        self._is_spared = False
        if self._since is None:
            self._since = now
        return self.attempts

    def ended(self, attempt: Attempted) -> None:
        """Record how an attempt ended, if it did not become a stable connection."""
        if self.attempts:
            self.tried = (*self.tried[1 - ATTEMPTS_KEPT :], attempt)

    def judge(self, end: End) -> Judgement:
        """The verdict about an end, and the one at first.

        Args:
            end: Its close code and reason, or its exception.

        Raises:
            TypeError: If the user's function gave something else.
        """
        self._in_a_row = self._in_a_row + 1 if kind(end) == self._same else 1
        self._same = kind(end)
        judgement = self._judgement(replace(end, in_a_row=self._in_a_row))
        # An event stream that says 204 has nothing more to come back for.
        is_final = isinstance(end.error, NoMoreEvents) or self._options.clean_close != "reconnect"
        if judgement.verdict is Verdict.COMPLETE and not is_final:
            judgement = Judgement(Verdict.RECONNECT, Verdict.RECONNECT)
        self.ask = self._next_ask(end, judgement)
        return judgement

    def _judgement(self, end: End) -> Judgement:
        verdicts = self._options.verdicts
        if isinstance(verdicts, Verdicts):
            return verdicts.judge(end)
        verdict = verdicts(end)
        if not isinstance(verdict, Verdict):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"verdicts(end): return a Verdict, not {verdict!r}")
        return Judgement(verdict, verdict)

    def exclude(self, seconds: float) -> None:
        """A credential, or a deadline, is awaited for so long, which is no part of the outage."""
        if self._since is not None:
            self._since += seconds

    def spare(self) -> int:
        """The attempt that has failed counts for no limit (C34); return how many do not."""
        self._spared += 1
        self._is_spared = True
        return self._spared

    def limit(self, delay: float, now: float) -> str | None:
        """Which limit forbids the attempt that would follow after ``delay`` seconds, in words."""
        if self._is_spared:
            return None
        outage = 0.0 if self._since is None else now - self._since
        return self._options.retry_limits.reached(
            attempts=self.attempts - self._spared, outage=outage, delay=delay
        )

    def next_delay(self) -> float:
        """Seconds of backoff, one step further each time."""
        self.failures += 1
        return self._options.backoff.delay(self.failures - 1)

    def next_ask_delay(self) -> float:
        """Seconds until a provider is asked after a refusal: at once, once for each stable open."""
        if not self._asked_at_once:
            self._asked_at_once = True
            return 0.0
        return self.next_delay()

    def _next_ask(self, end: End, judgement: Judgement) -> Ask:
        if Verdict.AWAIT_AUTH not in judgement:
            return Ask(self.attempts + 1, Reason.RECONNECT)
        status, text = None, end.reason if end.error is None else str(end.error)
        if isinstance(end.error, HandshakeRefused):
            status, text = end.error.status, end.error.answer
        return Ask(self.attempts + 1, Reason.REJECTED, end.code or status, text)
