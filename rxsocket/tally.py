"""What is counted since the last stable connection, and the verdicts made from it (C15, C16)."""

from __future__ import annotations

from rxsocket.auth.sources import Ask, Reason
from rxsocket.errors import HandshakeRefused
from rxsocket.plan import Plan
from rxsocket.policy.verdicts import End, Verdict, kind

__all__ = ["Tally"]


class Tally:
    """Counts attempts and failures; an open of ``stable_after`` seconds starts them anew.

    Attributes:
        attempts: Attempts since then.
        failures: Waits since then.
        ask: What a provider would be told now.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.attempts = 0
        self.failures = 0
        self.ask = Ask(1, Reason.FIRST)
        self._same: object = None
        self._in_a_row = 0
        self._asked_at_once = False

    def judge(self, end: End, uptime: float | None) -> Verdict:
        """The verdict about an end.

        Args:
            end: Its close code and reason, or its exception.
            uptime: Seconds the connection was open, ``None`` if it never was.

        Raises:
            TypeError: If the user's function gave something else.
        """
        stable = uptime is not None and uptime >= self._plan.stable_after
        if stable:
            self.attempts = self.failures = self._in_a_row = 0
            self._asked_at_once = False
        self._in_a_row = self._in_a_row + 1 if kind(end) == self._same else 1
        self._same = kind(end)
        verdict = self._plan.verdicts(End(end.code, end.error, stable, self._in_a_row, end.reason))
        if not isinstance(verdict, Verdict):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"verdicts(end): return a Verdict, not {verdict!r}")
        if verdict is Verdict.COMPLETE and self._plan.clean_close == "reconnect":
            verdict = Verdict.RECONNECT
        self.ask = self._next_ask(end, verdict)
        return verdict

    def next_delay(self) -> float:
        """Seconds of backoff, one step further each time."""
        self.failures += 1
        return self._plan.backoff.delay(self.failures - 1)

    def next_ask_delay(self) -> float:
        """Seconds until a provider is asked after a refusal: at once, once for each stable open."""
        if not self._asked_at_once:
            self._asked_at_once = True
            return 0.0
        return self.next_delay()

    def _next_ask(self, end: End, verdict: Verdict) -> Ask:
        if verdict is not Verdict.AWAIT_AUTH:
            return Ask(self.attempts + 1, Reason.RECONNECT)
        status = end.error.status if isinstance(end.error, HandshakeRefused) else None
        text = end.reason if end.error is None else str(end.error)
        return Ask(self.attempts + 1, Reason.REJECTED, end.code or status, text)
