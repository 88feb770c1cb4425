"""Jupyter kernels: code that is run, and what comes of it (C48).

The channels of one kernel of a Jupyter server, over one WebSocket, in the protocol that the server
chooses: ``v1.kernel.websocket.jupyter.org``, or the default one::

    execute(code)     what is because of it, until the kernel is idle again
    evaluate(code)    its output and result, or a KernelError
    iopub             what the kernel says to everybody
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Unpack
from urllib.parse import urlsplit

from reactivex import abc
from reactivex import operators as ops

from rxsocket.auth.carriers import header
from rxsocket.endpoint.endpoint import AddressSource, Endpoint
from rxsocket.policy.presets import jupyter_kernel
from rxsocket.protocols.arguments import SocketArguments
from rxsocket.protocols.jupyter_messages import (
    V1,
    KernelCodec,
    KernelMessage,
    kernel_message,
)
from rxsocket.protocols.jupyter_requests import KernelRequest, KernelRequests, OnInput
from rxsocket.protocols.jupyter_results import Evaluated, content_of, evaluated
from rxsocket.protocols.jupyter_transport import PROTOCOL, KernelTransport
from rxsocket.protocols.on_demand import OnDemand, as_read
from rxsocket.protocols.speaking import made_for
from rxsocket.socket import Socket
from rxsocket.streams.stream import CheckedObservable
from rxsocket.validation import function, seconds_or_none


def jupyter_options(
    *, session: str | None = None, **arguments: Unpack[SocketArguments]
) -> dict[str, Any]:
    """The arguments of a ``Socket`` that speaks it: ``Socket(url, **jupyter_options(auth=...))``.

    Args:
        session: See :func:`jupyter`.
        arguments: Others of ``Socket``; ``verdicts`` takes the place of the protocol's table.

    Raises:
        TypeError: If the session is not a string.
    """
    if not (session is None or (isinstance(session, str) and session)):
        raise TypeError("session: pass the id of an earlier session, or nothing")
    transport = KernelTransport(arguments.get("transport", "websockets"), session)
    return {
        "verdicts": jupyter_kernel(),
        "carrier": header(scheme="token"),
        "max_size": 2**26,  # pictures are in messages
        **arguments,
        "subprotocols": [V1],
        "codec": KernelCodec(),
        "transport": transport,
    }


def jupyter(
    to: AddressSource | Endpoint | Socket[Any, Any],
    *,
    session: str | None = None,
    **arguments: Unpack[SocketArguments],
) -> Kernel:
    """Talk to a kernel over one socket.

    Nothing is dialled before something is subscribed to or awaited.

    Args:
        to: The address of the kernel's channels, ``ws://host/api/kernels/<id>/channels``, or what
            gives such addresses, as for ``Socket``; or a socket that was made with
            ``Socket(url, **jupyter_options(...))``.
        session: The id of the session; the server keeps what the kernel says for the session that
            left last, so one that another process had goes on with it. Left out: a new one.
        arguments: Others of ``Socket``. A string as ``auth`` goes into the header
            ``Authorization: token <string>``; ``max_size`` is 64 MiB, as messages have pictures.

    Raises:
        TypeError: If an argument is of a wrong type, or does not go with a socket.
        ValueError: If the socket was not made for this protocol, or the address is of something
            else; the text says what to do.

    Examples:
        >>> kernel = jupyter("ws://127.0.0.1:8888/api/kernels/7f3a/channels", auth=token)
        >>> print((await kernel.evaluate("6 * 7")).text)
        42
    """
    if isinstance(to, Socket):
        socket: Socket[Any, Any] = to  # pyright: ignore[reportUnknownVariableType]
        given = {"session": session} if session else {}
        return Kernel(made_for(socket, PROTOCOL, "jupyter", {**given, **arguments}))
    if isinstance(to, str):
        to = _channels(to)
    return Kernel(Socket(to, **jupyter_options(session=session, **arguments)))


class Kernel:
    """One kernel over one socket; :func:`jupyter` makes it.

    ::

        connection   o------------x    o-----------
        on the wire  E                 .               E execute, sent once
        messages     --b--s-----       --s--r--i---    busy, stream, reply, idle
        execute      --b--s--------------s--r--i|      the server kept what came meanwhile

    Attributes:
        socket: The socket, for ``set_auth``, ``errors``, ``explain()``, ``close()`` and the rest.
    """

    def __init__(self, socket: Socket[Any, Any]) -> None:
        self.socket = socket
        self._shown = partial(as_read, socket)
        engine = socket._engine  # pyright: ignore[reportPrivateUsage]
        engine.publisher.has_requests = True  # what a kernel says may be nobody's
        transport: Any = engine.options.transport
        self._transport: KernelTransport = transport
        self._requests = KernelRequests(socket, lambda: self.session)
        hooks = engine.hooks
        hooks.before_identity_change = (*hooks.before_identity_change, transport.new_session)

    def __repr__(self) -> str:
        return f"<Kernel of {self.socket!r}>"

    @property
    def session(self) -> str:
        """The id of the session: one for all connections, and another for another identity."""
        return self._transport.session

    @property
    def iopub(self) -> CheckedObservable[KernelMessage]:
        """What the kernel says to everybody: output, status, input of other clients, too."""

        def ask(observer: abc.ObserverBase[KernelMessage]) -> abc.DisposableBase:
            def is_said(message: KernelMessage) -> bool:
                return message.channel == "iopub"

            return self.socket.messages.pipe(ops.filter(is_said)).subscribe(observer)

        return OnDemand(self.socket, "iopub", ask)

    def execute(
        self,
        code: str,
        *,
        silent: bool = False,
        store_history: bool = True,
        stop_on_error: bool = True,
        user_expressions: Mapping[str, str] | None = None,
        on_input: OnInput | None = None,
        timeout: float | None = None,
    ) -> CheckedObservable[KernelMessage]:
        """Run code: every message that is because of it, until the kernel is idle again.

        It outlives reconnects: the server keeps what the kernel says for the last client that left,
        and gives it to the next connection of the session. Where it did not, it fails with
        ``ConnectionLost`` when that is certain; it is never run twice. Disposing it leaves the code
        running, see :meth:`interrupt`. Code that raises is a message of type ``error``.

        Args:
            code: The code.
            silent: Whether it is to leave no trace: no output, history or number.
            store_history: Whether it goes into the kernel's history.
            stop_on_error: Whether requests that wait behind it are aborted if it raises.
            user_expressions: Expressions to evaluate after it, by name; see the reply.
            on_input: What answers when it asks for input: a function of the prompt, and of whether
                it is for a password, which returns a string, or a coroutine of one. It is called
                on the socket's loop, so one that waits for people is async, as in ``lambda prompt,
                _: asyncio.to_thread(input, prompt)``. If it raises, this fails with that, and the
                code is interrupted. Left out: asking raises in the kernel.
            timeout: Seconds to wait for each message; ``None`` for as long as it takes.

        Raises:
            TypeError: If an argument is of a wrong type.

        Examples:
            >>> kernel.execute("for i in range(3): print(i)").subscribe(print)
        """
        if on_input is not None:
            function("on_input", on_input)
        content = {
            "code": _text("execute(code)", code),
            "silent": silent,
            "store_history": store_history,
            "user_expressions": user_expressions or {},
            "allow_stdin": on_input is not None,
            "stop_on_error": stop_on_error,
        }
        limit = seconds_or_none("timeout", timeout)

        def ask(observer: abc.ObserverBase[KernelMessage]) -> abc.DisposableBase:
            message = kernel_message("execute_request", content, session=self.session)
            request = KernelRequest(message, timeout=limit, until_idle=True, on_input=on_input)
            return self._requests.send(request, observer)

        return OnDemand(self.socket, "execute(code)", ask, is_lazy=True)

    def evaluate(
        self, code: str, *, on_input: OnInput | None = None, timeout: float | None = None
    ) -> CheckedObservable[Evaluated]:
        """Run code, and wait for what comes of it; see :meth:`execute` for the arguments.

        It fails with ``KernelError`` if the code raises.

        Examples:
            >>> print((await kernel.evaluate("print('hello')")).stdout)
            hello
        """
        messages = self.execute(code, on_input=on_input, timeout=timeout)
        result = ops.map(partial(evaluated, shown=self._shown))

        def ask(observer: abc.ObserverBase[Evaluated]) -> abc.DisposableBase:
            return messages.pipe(ops.to_list(), result).subscribe(observer)

        return OnDemand(self.socket, "evaluate(code)", ask)

    def request(
        self,
        type: str,
        content: Mapping[str, Any] | None = None,
        *,
        channel: str = "shell",
        timeout: float | None = 10.0,
    ) -> CheckedObservable[Mapping[str, Any]]:
        """Send another request, and wait for the content of its reply.

        It fails with ``KernelError`` if the reply says so, and outlives reconnects as
        :meth:`execute` does.

        Args:
            type: Its type, as ``"history_request"``.
            content: Its content.
            channel: ``"shell"``, or ``"control"`` for what need not wait for code that runs.
            timeout: Seconds to wait; ``None`` for as long as it takes.

        Raises:
            ValueError: If there is no such channel, or the type is not that of a request.

        Examples:
            >>> await kernel.request("is_complete_request", {"code": "for i in range(3):"})
        """
        if channel not in ("shell", "control"):
            raise ValueError(f"channel: pass 'shell' or 'control', not {channel!r}")
        if not _text("request(type)", type).endswith("_request"):
            raise ValueError(f"type: pass that of a request, such as {type + '_request'!r}")
        limit, asked = seconds_or_none("timeout", timeout), dict(content or {})

        def ask(observer: abc.ObserverBase[KernelMessage]) -> abc.DisposableBase:
            message = kernel_message(type, asked, session=self.session, channel=channel)
            return self._requests.send(KernelRequest(message, timeout=limit), observer)

        messages: OnDemand[KernelMessage] = OnDemand(self.socket, type, ask, is_lazy=True)
        result = ops.map(partial(content_of, shown=self._shown))

        def reply(observer: abc.ObserverBase[Mapping[str, Any]]) -> abc.DisposableBase:
            return messages.pipe(ops.last(), result).subscribe(observer)

        return OnDemand(self.socket, type, reply)

    def kernel_info(self, *, timeout: float | None = 10.0) -> CheckedObservable[Mapping[str, Any]]:
        """Which language it speaks, and which version of the protocol."""
        return self.request("kernel_info_request", timeout=timeout)

    def complete(
        self, code: str, cursor_pos: int | None = None, *, timeout: float | None = 10.0
    ) -> CheckedObservable[Mapping[str, Any]]:
        """What may follow at a place in code: ``matches``, from ``cursor_start`` on."""
        place = len(_text("complete(code)", code)) if cursor_pos is None else cursor_pos
        content = {"code": code, "cursor_pos": place}
        return self.request("complete_request", content, timeout=timeout)

    def inspect(
        self,
        code: str,
        cursor_pos: int | None = None,
        *,
        detail_level: int = 0,
        timeout: float | None = 10.0,
    ) -> CheckedObservable[Mapping[str, Any]]:
        """What is known of a name in code: ``data`` by MIME type, if ``found``."""
        place = len(_text("inspect(code)", code)) if cursor_pos is None else cursor_pos
        content = {"code": code, "cursor_pos": place, "detail_level": detail_level}
        return self.request("inspect_request", content, timeout=timeout)

    def interrupt(self, *, timeout: float | None = 10.0) -> CheckedObservable[Mapping[str, Any]]:
        """Interrupt the code that runs, by a message; not every kernel can do that."""
        return self.request("interrupt_request", channel="control", timeout=timeout)

    def shutdown(
        self, *, restart: bool = False, timeout: float | None = 10.0
    ) -> CheckedObservable[Mapping[str, Any]]:
        """Shut the kernel down. A server that watches it may start it again by itself."""
        content = {"restart": restart}
        return self.request("shutdown_request", content, channel="control", timeout=timeout)


def _channels(url: str) -> str:
    """The address of a kernel's channels, for one that an HTTP client would be given."""
    scheme, rest = url.partition("://")[::2]
    url = {"http": "ws://", "https": "wss://"}.get(scheme, f"{scheme}://") + rest if rest else url
    if not urlsplit(url).path.endswith("/channels"):
        raise ValueError(
            "url: pass the address of a kernel's channels, as in "
            "'ws://127.0.0.1:8888/api/kernels/<id>/channels'; POST /api/kernels starts one"
        )
    return url


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name}: pass a string, not {type(value).__name__}")
    return value
