"""How the connections of one session are made: when, with which credential, judged how (C7 to C10).

Every connection that is dialled is in the hands of :class:`Attempts` until it has ended, and is
closed when the session is: whoever ends the socket, at whichever event of whichever strategy.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeVar

from reactivex import abc

from rxsocket.auth.credentials import Credential, Ticket
from rxsocket.auth.providers import Ask
from rxsocket.auth.selector import CredentialSelector, CredentialSource
from rxsocket.connection.admittance import Admittance
from rxsocket.connection.closing import is_unsent
from rxsocket.connection.connection import Connection
from rxsocket.endpoint.admission import Admit
from rxsocket.engine.engine import Engine
from rxsocket.engine.run_state import StopReason
from rxsocket.engine.tls import WithoutTls
from rxsocket.errors import AddressFailed, Attempted, HandshakeError, ProviderFailed, Unauthorized
from rxsocket.events import Aborted, Cause, Closed, Connecting, EpochEnd, Event, Opened, Waiting
from rxsocket.explain.causes import closing, describe
from rxsocket.policy.verdicts import End, Judgement, Verdict
from rxsocket.runtime.threads import as_exception, exit_soon
from rxsocket.session.retries import RetryState
from rxsocket.transports.base import Request
from rxsocket.url import Address

T = TypeVar("T")

CHANGE_SPACING = 0.05
"""Seconds between two dials in a burst of changes (C7)."""
HURRIED = 0.05
"""Half the seconds until an attempt is repeated because of a deadline; doubled each time."""
OLD_PEER_TIMEOUT = 0.05
"""Seconds that an old peer has to answer our close before the next handshake is sent (C5)."""


class Attempts:
    """Makes the connections of one session, and owns them.

    Args:
        source: The credential that the session begins with, or what is asked for it.
        engine: The socket's running parts.
        observer: Gets every event.
        on_opened: Called when a connection opened, if that is of interest.

    Attributes:
        selector: Gives the credential for each attempt.
        retries: Counts the attempts of the active connection.
        active: The connection of the socket, or the attempt to make it.
        is_disposed: Whether the session is over.
        waits_for_old_peer: Whether the next attempt follows as soon as the old peer has answered
            our close, as the refusal may have been only because of that one (C5).
        verdict_error: What the user's ``verdicts`` raised.
        open_by: When the next connection is to be open, on the loop's clock, as the old one was
            left because of a deadline; ``None`` for no matter when.
    """

    def __init__(
        self,
        source: CredentialSource,
        engine: Engine,
        observer: abc.ObserverBase[Event],
        on_opened: Callable[[], None] | None,
    ) -> None:
        self._engine = engine
        self._options = engine.options
        self._run_state = engine.run_state
        self._loop = engine.loop
        self._publisher = engine.publisher
        self._observer = observer
        self._on_opened = on_opened
        self._beside: dict[Connection, RetryState] = {}
        self.selector = CredentialSelector(source, engine.auth.provider, engine.run_state.refusals)
        self.retries = RetryState(engine.options)
        self.active: Connection | None = None
        self.is_disposed = False
        self.waits_for_old_peer = False
        self._waited_for_old_peer = False  # once for each outage
        self.verdict_error: Exception | None = None
        self.open_by: float | None = None

    def dispose(self, reason: StopReason) -> None:
        """The session is over: close what it made."""
        self.is_disposed = True
        for connection in (*self._beside, self.active):
            if connection is not None:
                self._close(connection, reason.cause, reason.code, reason.reason)

    async def wait_for_spacing(self, spacing: float, cause: Cause) -> None:
        """Return when an attempt may begin: that many seconds after the last one."""
        run_state, loop = self._run_state, self._loop.event_loop
        dialled_at = run_state.dialled_at
        wait = 0.0 if dialled_at is None else dialled_at + spacing - loop.time()
        if wait > 0:
            if spacing > CHANGE_SPACING:
                failures = self.retries.failures
                at = self._loop.wall_time()
                self.emit(Waiting(delay=wait, failures=failures, cause=cause, at=at))
            await asyncio.sleep(wait)
        run_state.dialled_at = loop.time()
        run_state.credential_changed = run_state.dials_soon = False

    def hurried_delay(self) -> float | None:
        """Seconds until an attempt that failed is repeated because of a deadline, if it is (C34).

        A server that allows one connection may not have noticed yet that the old one was left, so
        it counts for no limit.
        """
        now = self._loop.event_loop.time()
        if self.open_by is None or self.open_by <= now:
            return None
        delay = HURRIED * 2.0 ** min(self.retries.spare(), 9)
        return delay if now + delay <= self.open_by else None

    def exclude_deadline(self) -> None:
        """The outage begins at the deadline, if there is one (C34)."""
        if self.open_by is not None:
            self.retries.exclude(max(0.0, self.open_by - self._loop.event_loop.time()))

    def ask(self, connection: Connection | None = None) -> Ask:
        """What a function of the user's is told that is asked for the next attempt.

        Args:
            connection: What it is asked for; left out, the connection of the socket.
        """
        ask = (self.retries if connection is None else self._retries_of(connection)).ask
        if connection is not None and ask.attempt != connection.attempt:
            # The connection before was renewed by us, so nothing was judged.
            ask = replace(ask, attempt=connection.attempt)
        cursor = self._engine.hooks.cursor()
        return ask if cursor is None else replace(ask, cursor=cursor)

    def begin(self, cause: Cause, reason: str = "") -> Connection:
        """Make the connection of the socket; what happens goes to the observer."""
        connection = self._connection(cause, self.retries, reason=reason)
        self.active = connection
        self._dial(connection)
        return connection

    def begin_beside(
        self,
        cause: Cause,
        retries: RetryState,
        on_link: Callable[[Connection], None],
        on_early_message: Callable[[Any], None],
        reason: str = "",
    ) -> Connection:
        """Make a connection beside the active one, which it becomes when it is adopted.

        Args:
            cause: Why.
            retries: What counts and judges it.
            on_link: Called when it could open.
            on_early_message: Called with each message that it gets before it is open.
            reason: Why, in somebody's words.
        """
        connection = self._connection(cause, retries, on_link, on_early_message, reason)
        self._beside[connection] = retries
        self._dial(connection)
        return connection

    def adopt(self, connection: Connection, code: int = 1000, reason: str = "") -> None:
        """Make a connection the active one; the one before it is closed."""
        before = self.active
        if before is not None:
            self._close(before, Cause.HANDED_OVER, code, reason)
        self.active = connection
        self.retries = self._beside.pop(connection)
        if connection.credential is not None:
            self.use(connection, connection.credential)

    def close_active(self, cause: Cause, code: int = 1000, reason: str = "") -> None:
        """Close the connection of the socket, or give up the attempt to make one."""
        connection, self.active = self.active, None
        if connection is not None:
            with self._loop.turn():
                self._close(connection, cause, code, reason)
        self.stop_if_disposed()

    def discard(self, connection: Connection, cause: Cause) -> None:
        """Close a connection beside the active one."""
        self._beside.pop(connection, None)
        with self._loop.turn():
            connection.close(cause)
        self.stop_if_disposed()

    def _close(
        self, connection: Connection, cause: Cause, code: int = 1000, reason: str = ""
    ) -> None:
        if connection.is_stable and not connection.is_closed:
            self._on_stable(connection)  # whoever ends it: it was good
        connection.close(cause, code, reason)

    def use(self, connection: Connection, credential: Credential) -> None:
        """A credential is in use by the connection of the socket."""
        connection.credential = credential
        self._engine.auth.renewing = None
        self._publisher.set_credential(credential)

    def emit(self, event: Event) -> None:
        """Let an event be known."""
        with self._loop.turn():
            self._observer.on_next(event)
        self.stop_if_disposed()

    def stop_if_disposed(self) -> None:
        # An observer may have changed the credential: its coroutine must not go on and dial.
        if self.is_disposed:
            raise asyncio.CancelledError

    # --- one connection

    def _connection(
        self,
        cause: Cause,
        retries: RetryState,
        on_link: Callable[[Connection], None] | None = None,
        on_early_message: Callable[[Any], None] | None = None,
        reason: str = "",
    ) -> Connection:
        self.stop_if_disposed()
        self._run_state.epoch += 1
        return Connection(
            self._engine,
            self._run_state.epoch,
            cause,
            retries.begin(self._loop.event_loop.time()),
            owner=self,
            on_link=on_link,
            on_early_message=on_early_message,
            reason=reason,
        )

    def _dial(self, connection: Connection) -> None:
        """Dial with the credential and the address of the moment (C10, C33)."""
        selector, addresses = self.selector, self._engine.addresses
        with self._loop.turn():
            known = addresses.peek(selector.newest, connection.attempt)
            self._begins(connection, known)
            admission = self._options.endpoint.admission
            if admission is not None or known is None or not selector.is_at_hand():
                connection.dial_when(lambda: self._request_asked(connection))
            else:
                try:
                    credential = selector.take()
                    request = self._request(connection, credential, addresses.admit(known))
                except (HandshakeError, ProviderFailed) as error:
                    connection.on_error(error)
                else:
                    connection.dial(request)
        self.stop_if_disposed()

    def _begins(self, connection: Connection, known: Address | None) -> None:
        """Say that an attempt begins, and where it goes, as far as that is known."""
        began = Connecting(
            epoch=connection.epoch,
            cause=connection.cause,
            attempt=connection.attempt,
            url=self._engine.addresses.shown if known is None else known.shown,
            proxy=self._options.proxy_shown(known),
            reason=connection.reason,
            at=self._loop.wall_time(),
        )
        self.on_event(connection, began)

    async def _request_asked(self, connection: Connection) -> Request:
        admission = self._options.endpoint.admission
        if admission is not None:
            await self._wait_for_admission(connection, admission)
        selector, addresses, ask = self.selector, self._engine.addresses, self.ask(connection)
        if selector.is_at_hand():
            credential = selector.take()
        else:
            credential = await self._answer("auth", selector.ask(ask))
        known = addresses.peek(credential, connection.attempt)
        if known is None:
            address = await self._answer("url", addresses.ask(ask))
        else:
            address = addresses.admit(known)
        return self._request(connection, credential, address)

    async def _answer(self, argument: str, asked: Awaitable[T]) -> T:
        """What was asked for, and say meanwhile that it is waited for."""
        self._run_state.asking = argument
        try:
            return await asked
        finally:
            self._run_state.asking = ""

    async def _wait_for_admission(self, connection: Connection, admission: Admit) -> None:
        """Return when a socket of a fleet may dial; no limit of its own counts the time."""
        retries, beside = self._retries_of(connection), connection in self._beside
        loop, closing = self._loop.event_loop, self._run_state.closing
        connection.admittance = Admittance(loop, connection.ended, closing)
        try:
            await connection.admittance.wait(admission, beside)
        finally:
            retries.exclude(connection.admittance.waited())

    def _request(self, connection: Connection, credential: Credential, address: Address) -> Request:
        connection.credential, connection.address = credential, address
        self._publisher.history.add_sent_credential(credential)
        if address != credential.address and not self._engine.addresses.is_written(address):
            self._publisher.history.add_sent_credential(Ticket(address.url))
        if connection is self.active:
            self.use(connection, credential)
        kind: type[Exception] = ProviderFailed
        try:
            return self._options.request(
                address, credential, self._wait_for_old_peers, self._engine.hooks.cursor()
            )
        except HandshakeError as error:  # of the function given as ssl=
            kind, failure = HandshakeError, str(error)
        except WithoutTls as error:
            failure = f"the credential cannot be carried: {error}"
            if address != credential.address and not self._engine.addresses.is_written(address):
                kind, failure = AddressFailed, f"url: {str(error).removeprefix('carrier: ')}"
        except (TypeError, ValueError) as error:
            failure = f"the credential cannot be carried: {error}"
        except BaseException as error:  # of the user's carrier
            exit_soon(error)
            failure = f"the credential cannot be carried: {type(error).__name__}: {error}"
        failure = self._publisher.history.as_read(failure)  # the frame of what is raised has it
        raise kind(failure)

    async def _wait_for_old_peers(self) -> None:
        """Return when the old peers have answered our close, or had their time (C5)."""
        await self._run_state.closing.answered(within=OLD_PEER_TIMEOUT)
        self._run_state.dialled_at = self._loop.event_loop.time()

    def on_event(self, connection: Connection, event: Event) -> None:
        """Something happened to a connection that is not closed by us."""
        if isinstance(event, EpochEnd):
            attempted = _attempted(event, connection.attempt, connection.began_at)
            self._retries_of(connection).ended(attempted)
            self._beside.pop(connection, None)
        elif isinstance(event, Opened):
            self.open_by = None
            if self._on_opened is not None:
                self._on_opened()
        self._observer.on_next(event)

    def judge(self, connection: Connection, end: End, stable: bool) -> Judgement:
        """The verdict about the end of a connection, told whether it was stable before."""
        try:
            if stable:
                self._on_stable(connection)
            credential = connection.credential
            unsent = is_unsent(connection.sent_as, connection.link)
            carried = credential is not None and credential.known and not unsent
            is_proven = credential is None or credential in self._run_state.accepted
            end = replace(
                end,
                stable=stable,
                was_stable=self._run_state.was_stable,
                carried=carried,
                unproven=carried and self.selector.pushed and not is_proven,
            )
            judgement = self._retries_of(connection).judge(end)
        except BaseException as error:  # of the user's function: raised on, it would halt us
            self.verdict_error = as_exception(error)
            return Judgement(Verdict.FAIL, Verdict.FAIL)
        if judgement.verdict is not Verdict.AWAIT_AUTH or isinstance(end.error, Unauthorized):
            if judgement.at_first is Verdict.AWAIT_AUTH:
                self._run_state.doubted = credential
            return judgement
        if connection is not self.active:
            return judgement  # maybe only because of the connection beside it
        if self.open_by is not None and self.open_by > self._loop.event_loop.time():
            return Judgement(Verdict.RECONNECT, Verdict.RECONNECT)  # or of the one before it
        if self._run_state.closing.unanswered and not self._waited_for_old_peer:
            # A server that allows one session may have refused only because of the old one (C5).
            self._waited_for_old_peer = self.waits_for_old_peer = True
            return Judgement(Verdict.RECONNECT, Verdict.RECONNECT)
        if connection.credential is not None:
            self._run_state.refusals.remember(connection.credential)
        return judgement

    def _on_stable(self, connection: Connection) -> None:
        self._waited_for_old_peer = False
        self._run_state.was_stable = True
        self._run_state.refused_retries = 0
        self._run_state.doubted = None
        self._retries_of(connection).restart(self._loop.event_loop.time())
        if connection.credential is not None:
            self._run_state.accepted.remember(connection.credential)

    def _retries_of(self, connection: Connection) -> RetryState:
        return self._beside.get(connection, self.retries)


def _attempted(end: EpochEnd, number: int, at: float) -> Attempted:
    match end:
        case Closed():
            return Attempted(number, at, closing(end), code=end.code)
        case Aborted():
            return Attempted(number, at, end.cause.value)
        case _:
            return Attempted(number, at, describe(end.error), error=end.error)
