"""Renewing an open connection: its credential is renewed, it gets old, or we are told (C13, C34).

::

    live_with ── the connection lives ── a renewal came, max_age has passed, or renew() was called
      ^                                    |
      |     handover():  make the next one beside it, then live with that one
      |     in_band():   send the credential over it, then go on with it
      '---- reconnect(): close it; the supervisor makes another one
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from rxsocket.auth.credentials import Credential, for_user
from rxsocket.auth.selector import Renewal
from rxsocket.auth.strategies import Handover, InBand
from rxsocket.codecs import encoded
from rxsocket.connection.connection import Connection
from rxsocket.engine.auth import AuthUpdate
from rxsocket.engine.engine import Engine
from rxsocket.errors import ConnectionLost, CredentialRefused, HandshakeError
from rxsocket.events import Cause, Closed, ConnectFailed, EpochEnd, Rejected, RenewalFailed, Renewed
from rxsocket.explain.causes import kind_and_text
from rxsocket.policy.verdicts import Verdict
from rxsocket.runtime.threads import as_exception
from rxsocket.session.attempts import CHANGE_SPACING, Attempts
from rxsocket.session.due import Due
from rxsocket.session.handover import HandoverAttempt
from rxsocket.session.retries import RetryState
from rxsocket.texts import without_frames

SHORTEST = 0.05
"""Seconds: less than that is not waited once more."""
YOUNGEST = 0.9
"""A connection is renewed at 0.9 to 1 times ``max_age``, so that not all are at once."""


class Renewals:
    """Renews the connections of one session.

    Args:
        attempts: Makes the connections.
        engine: The socket's running parts.
    """

    def __init__(self, attempts: Attempts, engine: Engine) -> None:
        self._attempts = attempts
        self._engine = engine
        self._options = engine.options
        self._loop = engine.loop
        self._publisher = engine.publisher
        self._due = Due(
            engine.loop.event_loop,
            engine.options.backoff.random,
            in_band=isinstance(engine.options.on_auth_change, InBand),
        )
        self._age_timer: asyncio.TimerHandle | None = None
        self._old_at = 0.0
        self._handover: HandoverAttempt | None = None
        self._is_handing_over = False
        self._hasty = self._told = 0

    def dispose(self) -> None:
        self._due.end()
        if self._engine.run_state.renewal == self._due.explain:
            self._engine.run_state.renewal = None
        self._cancel_age_timer()
        if self._handover is not None:
            self._handover.stop()

    def start_age_timer(self) -> None:
        """Let the age of the active connection count from now."""
        if self._options.max_age is not None:
            share = self._options.backoff.random.uniform(YOUNGEST, 1.0)
            self._old_at = self._loop.event_loop.time() + self._options.max_age * share
            self._resume_age_timer()

    @property
    def is_hasty(self) -> bool:
        """Whether ``renew()`` is called on one connection after the other before it is stable."""
        return self._hasty > 1

    def on_update(self, update: AuthUpdate) -> None:
        """A credential came that follows the one in use, or the same is to be used again."""
        source = update.source
        if update.request is not None:
            self._engine.run_state.renewal = self._due.explain
            self._due.ask(
                update.request, at_once=self._is_handing_over and update.request.elsewhere
            )
            return
        if isinstance(source, Renewal):
            self._attempts.selector.renew(source.credential)
        elif isinstance(source, Credential):
            self._attempts.selector.push(source)
        self._due.set(update.cause)

    async def live_with(self, connection: Connection) -> EpochEnd:
        """Live with a connection, and with those that it hands over to.

        Returns:
            How the last one ended: without a verdict, if it was closed to make another one.
        """
        try:
            while True:
                await _first_of(connection.ended, self._due.future)
                cause = self._due.take()
                if connection.ended.done() or cause is None:
                    return connection.ended.result()
                if cause is Cause.RENEW:
                    self._count_hasty(connection)
                connection = await self._renew(connection, cause)
        finally:
            self._cancel_age_timer()  # an attempt has no age, and was not told to be renewed
            self._due.end()

    def _count_hasty(self, connection: Connection) -> None:
        if connection.is_stable:
            self._hasty = 0
        elif connection.epoch != self._told:  # once for each
            self._hasty += 1
        self._told = connection.epoch

    async def _renew(self, connection: Connection, cause: Cause) -> Connection:
        """Renew a connection.

        Returns:
            The one that lives now; the same if it goes on, or was closed.
        """
        strategy = self._options.on_auth_change
        if self._due.late.done() or (cause is Cause.RENEW and self.is_hasty):
            return self._close(connection)
        if isinstance(strategy, Handover):
            self._cancel_age_timer()  # should it get old meanwhile: the next one is on its way
            self._is_handing_over = True
            try:
                following = await self._hand_over(connection, cause, strategy)
            finally:
                self._is_handing_over = False
            if following is connection:
                self._resume_age_timer()
            return following
        is_elsewhere = self._attempts.selector.newest.address not in (None, connection.address)
        if isinstance(strategy, InBand) and cause is Cause.AUTH_CHANGED and not is_elsewhere:
            return await self._send_in_band(connection, strategy)
        return self._close(connection, cause)

    def _close(self, connection: Connection, cause: Cause = Cause.RENEW) -> Connection:
        """Close a connection; the supervisor makes another one."""
        due = self._due
        self._attempts.open_by = None if self.is_hasty else due.deadline
        if cause is Cause.RENEW:
            self._attempts.close_active(cause, due.code, due.why)
        else:
            self._attempts.close_active(cause)
        self._attempts.exclude_deadline()
        return connection

    def _resume_age_timer(self) -> None:
        self._cancel_age_timer()
        if self._options.max_age is not None:
            self._age_timer = self._loop.event_loop.call_at(
                self._old_at, self._due.set, Cause.MAX_AGE
            )

    def _cancel_age_timer(self) -> None:
        if self._age_timer is not None:
            self._age_timer.cancel()

    # --- handover

    async def _hand_over(self, old: Connection, cause: Cause, strategy: Handover) -> Connection:
        """Make the next connection beside the old one, until one of them is the only one."""
        retries, due = RetryState(self._options), self._due
        while True:
            newest = self._attempts.selector.newest
            is_same = newest == old.credential
            if cause is Cause.AUTH_CHANGED and is_same:
                self._on_renewed(old, newest)  # back to the one in use
                if not due.is_asked:
                    return old
                cause = Cause.RENEW
            address = self._engine.addresses.peek(newest, 1)
            if cause is Cause.ADDRESS_CHANGED and is_same and address == old.address:
                if not due.is_asked:
                    return old  # likewise
                cause = Cause.RENEW
            await self._attempts.wait_for_spacing(CHANGE_SPACING, cause)
            if old.ended.done():
                return old
            handover = self._handover = HandoverAttempt(old, strategy, self._engine)
            due.elsewhere = False
            reason = due.why if cause is Cause.RENEW else ""
            new = self._attempts.begin_beside(
                cause, retries, handover.on_link, handover.on_early_message, reason
            )
            waited = partial(_waited, new, handover)
            while True:
                outcomes = (handover.caught_up, new.ended, old.ended)
                await self._first_or_due(*outcomes, within=strategy.timeout, waited=waited)
                if not handover.is_behind_again():
                    break
            if not new.ended.done() and (
                handover.caught_up.done()
                or _may_be_replaced(old)
                or (due.late.done() and handover.has_link)
            ):
                self._switch(new, handover)
                return new
            handover.stop()
            if old.ended.done() or due.late.done():
                self._attempts.discard(new, cause)
                return old if old.ended.done() else self._close(old)
            if (newer := due.take()) is not None:
                cause = newer
                self._attempts.discard(new, cause)
                continue
            new.fail_dial(_not_ready(strategy.timeout, waited(), handover.lacks))
            delay = self._report_failure(old, cause, new.ended.result(), retries)
            if delay is None:
                if cause is Cause.MAX_AGE:
                    self.start_age_timer()  # it goes on, and gets old again
                due.end()
                return old
            await self._first_or_due(old.ended, within=delay)
            if due.late.done() and not old.ended.done():
                return self._close(old)
            cause = due.take() or cause

    async def _first_or_due(
        self,
        *futures: asyncio.Future[Any],
        within: float,
        waited: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """Return when one of the futures is done, something else is due, or it is late.

        Args:
            *futures: What is waited for.
            within: Seconds to wait at most.
            waited: Gives the seconds since then that do not count.
        """
        due, loop = self._due, self._loop.event_loop
        until = loop.time() + within
        rest = within
        while True:
            await _first_of(*futures, due.future, due.late, within=rest)
            is_under_way = due.take_what_is_under_way()
            rest = max(0.0, until + waited() - loop.time())
            is_over = any(future.done() for future in (*futures, due.future, due.late))
            if not is_under_way and (is_over or rest < SHORTEST):
                return

    def _switch(self, new: Connection, handover: HandoverAttempt) -> None:
        with self._loop.turn():
            self._attempts.adopt(new, self._due.code, self._due.why)
            self._due.end()
            handover.switch(new)

    def _report_failure(
        self, old: Connection, cause: Cause, end: EpochEnd, retries: RetryState
    ) -> float | None:
        """Say why the next one was not made; return the seconds until it is tried again."""
        if isinstance(end, (ConnectFailed, Rejected)):
            error, verdict = end.error, end.verdict
        else:
            error, verdict = HandshakeError(f"no connection was made: {end.cause.value}"), None
        delay, until_late = None, self._due.until_late
        if verdict is Verdict.RECONNECT or until_late is not None:
            delay = max(retries.next_delay(), self._options.backoff.spacing)
            if until_late is not None:
                delay = min(delay, until_late)
        refused = verdict is Verdict.AWAIT_AUTH
        self._on_renewal_failed(old, cause, error, refused=refused, retry_in=delay)
        return delay

    # --- in band

    async def _send_in_band(self, connection: Connection, strategy: InBand) -> Connection:
        credential = self._attempts.selector.newest
        if connection.link is None:
            return connection
        if credential == connection.credential:
            self._on_renewed(connection, credential)
            return connection
        answer = await self._answer_to(connection, credential, strategy)
        if connection.ended.done():
            return connection
        if self._due.late.done():
            return connection  # it is due, too
        failed = isinstance(answer, Exception)
        newer = (
            self._due.cause is Cause.AUTH_CHANGED or self._attempts.selector.newest != credential
        )
        if newer and (not failed or strategy.otherwise == "keep"):
            if answer is True:
                connection.credential = credential
            return connection
        if answer is True:
            self._on_renewed(connection, credential)
            return connection
        if strategy.otherwise == "reconnect":
            self._due.take()
            return self._close(connection, Cause.AUTH_CHANGED)
        self._keep(connection, answer if isinstance(answer, Exception) else None)
        return connection

    async def _answer_to(
        self, connection: Connection, credential: Credential, strategy: InBand
    ) -> bool | Exception:
        """Send a credential over a connection; return the server's answer, or why there is none."""
        answered: asyncio.Future[bool] = self._loop.event_loop.create_future()

        def takes(message: Any) -> bool:
            for predicate, answer in ((strategy.rejected, False), (strategy.accepted, True)):
                if predicate is not None and connection.asked(predicate, message):
                    if not answered.done():
                        answered.set_result(answer)
                    return True
            return False

        remove = connection.add_filter(takes)
        self._publisher.history.add_sent_credential(credential)
        try:
            if connection.link is not None:
                try:
                    message = self._encoded(strategy.encode(for_user(credential.reveal())))
                except BaseException as error:  # of the user's function
                    raise as_exception(error) from None
                with suppress(ConnectionLost):  # the transport is about to say how it ended
                    await connection.link.send(message)
                    self._publisher.on_sent(message, connection.epoch)
                    if strategy.accepted is None and not answered.done():
                        answered.set_result(True)
            # A newer credential waits, too: the answer to this one would be taken for its own.
            await _first_of(answered, connection.ended, self._due.late, within=strategy.timeout)
        except Exception as error:
            connection.report(strategy.encode, without_frames(error))
            text = f"in_band(encode) raised {kind_and_text(error)}"
            return HandshakeError(self._publisher.history.as_read(text))
        finally:
            remove()
        return answered.result() if answered.done() else _no_answer(strategy.timeout)

    def _encoded(self, message: Any) -> str | bytes:
        if isinstance(message, (str, bytes)):
            return message
        if self._options.codec is None:
            kind = type(message).__name__
            raise TypeError(f"in_band(encode): return str or bytes, or use a codec; not {kind}")
        return encoded(self._options.codec, message)

    def _keep(self, connection: Connection, no_answer: Exception | None) -> None:
        """Go on with the credential that the connection has."""
        selector = self._attempts.selector
        if no_answer is None:
            self._engine.run_state.refusals.remember(selector.newest)
            self._engine.auth.renewing = None
            if connection.credential is not None:
                selector.push(connection.credential)
        error = no_answer or CredentialRefused()
        refused = no_answer is None
        self._on_renewal_failed(connection, Cause.AUTH_CHANGED, error, refused=refused)

    # --- what came of it

    def _on_renewed(self, connection: Connection, credential: Credential) -> None:
        self._attempts.use(connection, credential)
        self._attempts.emit(Renewed(epoch=connection.epoch, at=self._loop.wall_time()))

    def _on_renewal_failed(
        self,
        connection: Connection,
        cause: Cause,
        error: Exception,
        refused: bool,
        retry_in: float | None = None,
    ) -> None:
        self._attempts.emit(
            RenewalFailed(
                epoch=connection.epoch,
                error=error,
                refused=refused,
                retry_in=retry_in,
                cause=cause,
                at=self._loop.wall_time(),
            )
        )


async def _first_of(*futures: asyncio.Future[Any], within: float | None = None) -> None:
    """Return when one of the futures is done, or that many seconds have passed."""
    await asyncio.wait(futures, timeout=within, return_when=asyncio.FIRST_COMPLETED)


def _may_be_replaced(old: Connection) -> bool:
    """Whether the old connection has ended, and the socket is to go on.

    It does after 1000, too: a server may close the old connection as soon as it sees the new one.
    """
    if not old.ended.done():
        return False
    end = old.ended.result()
    return not (isinstance(end, Closed) and end.verdict is Verdict.FAIL)


def _no_answer(seconds: float) -> TimeoutError:
    return TimeoutError(f"the server did not answer within {seconds:g} s")


def _waited(new: Connection, handover: HandoverAttempt) -> float:
    """Seconds that the next one waited for what ``limits=`` allow."""
    to_dial = 0.0 if new.admittance is None else new.admittance.waited()
    return to_dial + handover.waited()


def _not_ready(seconds: float, waited: float, lacks: str) -> TimeoutError:
    paced = f" and {waited:.3g} s of waiting for limits=" if waited >= 0.1 else ""
    text = f"the next connection was not ready within {seconds:g} s{paced}: {lacks}"
    return TimeoutError(text)
