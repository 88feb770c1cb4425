"""Logging in on another device: for notebooks, and machines without a browser (RFC 8628, C47).

::

    call        ──ask──► prompt(URL, code) ─ ─ poll ─ ─ poll ─ ─ poll ──► token
    somebody                      │ opens the URL, enters the code │
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from inspect import isawaitable
from typing import Any, TypeAlias

from rxsocket.auth.providers import Ask
from rxsocket.oauth.client import AuthMethod, ClientSecret
from rxsocket.oauth.endpoint import EndpointAnswer
from rxsocket.oauth.errors import TokenRefused, TokenRequestFailed
from rxsocket.oauth.grants import TIMEOUT, RefreshToken, grace_period_of
from rxsocket.oauth.server import AuthorizationServer, Endpoint, Scope
from rxsocket.oauth.stores import MemoryStore, TokenStore
from rxsocket.oauth.waiting import BlockingStore
from rxsocket.oauth.worker import SingleWork, Work
from rxsocket.runtime.threads import wall_clock
from rxsocket.texts import printable
from rxsocket.validation import function

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
INTERVAL = 5.0
"""Seconds between two polls unless the server says so, and what ``slow_down`` adds."""
LONGEST_INTERVAL = 60.0
LIFETIME = 600.0
"""Seconds to log in, where a server does not say how long there is."""


@dataclass(frozen=True, slots=True)
class DeviceLogin:
    """What somebody needs to log in; it is no secret, but whoever has it first is logged in.

    Attributes:
        user_code: What to enter there.
        verification_uri: Where to log in.
        verification_uri_complete: The same with the code in it, if the server has that.
        expires_in: Seconds that there are for it.
    """

    user_code: str
    verification_uri: str
    verification_uri_complete: str | None
    expires_in: float


Prompt: TypeAlias = Callable[[DeviceLogin], Awaitable[None] | None]


def print_login(login: DeviceLogin) -> None:
    """Print where to log in, and with which code."""
    print(f"To log in, open {login.verification_uri} and enter the code {login.user_code}")
    if login.verification_uri_complete is not None:
        print(f"or open {login.verification_uri_complete}")


@dataclass(slots=True)
class _Pending:
    """A login that somebody has begun.

    Attributes:
        device_code: What is polled with.
        login: What was shown.
        expires_at: Wall time at which it is too late.
        interval: Seconds between two polls.
        poll_at: Wall time of the next one.
        is_shown: Whether the prompt was called.
    """

    device_code: str = field(repr=False)
    login: DeviceLogin
    expires_at: float
    interval: float
    poll_at: float
    is_shown: bool = False


class DeviceCode(RefreshToken):
    """A provider that lets somebody log in on another device; see :func:`device_code`."""

    def __init__(
        self,
        server: AuthorizationServer,
        store: BlockingStore,
        grace_period: float,
        device_url: Endpoint,
        prompt: Prompt,
    ) -> None:
        super().__init__("device_code", server, store, grace_period)
        self._device_url = device_url
        self._prompt = prompt
        self._starts: SingleWork[_Pending] = SingleWork(is_kept=False)
        self._polls: SingleWork[dict[str, Any] | None] = SingleWork()
        self._pending: _Pending | None = None

    async def __call__(self, ask: Ask | None = None) -> dict[str, Any]:
        """An access token, with ``expires_in``: by the refresh token, or by a login."""
        if self._pending is None:
            try:
                return await super().__call__(ask)
            except TokenRefused as error:
                if error.code not in ("", "invalid_grant"):
                    raise
        return await self._log_in()

    async def _log_in(self) -> dict[str, Any]:
        clock = wall_clock(asyncio.get_running_loop())
        awaited: _Pending | None = None
        while True:
            pending = self._pending
            if pending is None or clock() >= pending.expires_at:
                if pending is not None and pending is awaited:
                    self._pending = None
                    raise _too_late()
                pending = await self._starts.result(lambda _: self._begin(clock()))
            awaited = pending
            if not pending.is_shown:
                pending.is_shown = True  # before: another loop may be here, too
                shown = self._prompt(pending.login)
                if isawaitable(shown):
                    await shown
            wait = pending.poll_at - clock()
            if wait > 0:
                await asyncio.sleep(min(wait, pending.interval))
                continue
            token = await self._polls.result(partial(self._poll, pending, clock))
            if token is not None:
                return token

    # --- on a thread

    def _begin(self, now: float) -> _Pending:
        pending = self._pending
        if pending is None or now >= pending.expires_at:
            answer = self._server.post(
                self._device_url, "device_authorization_endpoint", "device_code"
            )
            self._pending = pending = _begun(answer, now)
        return pending

    def _poll(
        self, pending: _Pending, clock: Callable[[], float], work: Work[Any]
    ) -> dict[str, Any] | None:
        if pending is not self._pending or clock() < pending.poll_at:
            return None  # somebody else has just polled
        self._store.work = work
        try:
            answer = self._server.token(GRANT, device_code=pending.device_code)
        except TokenRefused as error:
            if error.code != "authorization_pending":
                self._pending = None
                raise
        except TokenRequestFailed as error:
            longer = INTERVAL if error.code == "slow_down" else pending.interval
            pending.interval = min(pending.interval + longer, LONGEST_INTERVAL)
            if error.code == "invalid_client":
                raise
        else:
            self._pending = None
            return self._rotation.begin(answer)
        pending.poll_at = clock() + pending.interval
        return None


def _too_late() -> TokenRefused:
    return TokenRefused(
        "nobody logged in within the time that the server gave: log in again", code="expired_token"
    )


def _begun(answer: EndpointAnswer, now: float) -> _Pending:
    given = answer.fields
    user_code, where = given.get("user_code"), given.get("verification_uri")
    where = where or given.get("verification_url")  # as some wrote it before the RFC
    if not isinstance(user_code, str) or not isinstance(where, str):
        raise TokenRequestFailed("the server's answer has no user_code, or no verification_uri")
    complete = given.get("verification_uri_complete")
    expires_in = _number(given.get("expires_in"), LIFETIME)
    interval = _number(given.get("interval"), INTERVAL)
    login = DeviceLogin(
        printable(user_code, 100),
        printable(where, 2000),
        printable(complete, 2000) if isinstance(complete, str) else None,
        expires_in,
    )
    device_code = str(given["device_code"])
    return _Pending(device_code, login, now + expires_in, interval, now + interval)


def _number(value: Any, default: float) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and 0 < value < 86_400 else default


def device_code(
    device_url: Endpoint,
    token_url: Endpoint,
    client_id: str,
    client_secret: ClientSecret = None,
    *,
    prompt: Prompt = print_login,
    store: TokenStore | None = None,
    grace_period: float = 0.0,
    scope: Scope = None,
    auth_method: AuthMethod | None = None,
    parameters: Mapping[str, str] | None = None,
    timeout: float = TIMEOUT,
    ca_file: str | None = None,
    allow_http: bool = False,
) -> DeviceCode:
    """Access tokens for somebody who logs in on another device (RFC 8628, rule C47, OAuth and
    secrets that rotate).

    A provider for ``refreshing(..., timeout=None)``, as a login takes as long as somebody takes.
    With another ``timeout`` the login goes on from call to call, without another prompt. The
    refresh token that the server gives with it, if it does, is used from then on as by
    :func:`refresh_token`; when that is not taken any more, the prompt comes again.

    If nobody logs in in time, it raises ``TokenRefused``, and sockets await a credential until
    ``reconnect()``.

    Args:
        device_url: Address of the device authorisation endpoint, or the ``Issuer``.
        token_url: Address of the token endpoint, or the ``Issuer``.
        client_id: As of :func:`client_credentials`, and so are the arguments that are not here.
        client_secret: Likewise; ``None`` for a public client.
        prompt: Shows a ``DeviceLogin`` to somebody; sync or async; default: prints it. It is called
            on the loop that needed a token first.
        store: Where the refresh token is kept; default: in memory.
        grace_period: As of :func:`refresh_token`.
        scope: See there; servers give a refresh token for ``offline_access``, or by themselves.
        auth_method: See there.
        parameters: See there.
        timeout: See there.
        ca_file: See there.
        allow_http: See there.

    Raises:
        TypeError: If an argument is of a wrong type.
        ValueError: If one cannot be used; the text says what to pass.
        ModuleNotFoundError: If ``rxsocket[oauth]`` is not installed.

    Examples:
        >>> login = device_code(f"{base}/device", f"{base}/token", "notebook", scope="feed")
        >>> socket = Socket(url, auth=refreshing(login, timeout=None))
        To log in, open https://login.example.com/activate and enter the code WDJB-MJHT
    """
    server = AuthorizationServer(
        "device_code",
        token_url,
        client_id,
        client_secret,
        scope=scope,
        auth_method=auth_method,
        parameters=parameters,
        timeout=timeout,
        ca_file=ca_file,
        allow_http=allow_http,
    )
    kept = BlockingStore("device_code", MemoryStore() if store is None else store)
    return DeviceCode(
        server,
        kept,
        grace_period_of("device_code", grace_period),
        server.checked("device_code(device_url)", device_url),
        function("device_code(prompt)", prompt),
    )
