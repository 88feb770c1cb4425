"""An authorisation server on this machine whose answers a test chooses, and which notes them all.

Left alone it does what RFC 6749 and RFC 8628 say, with refresh tokens that are used once: one that
is presented again is noted in ``reused``, and revokes all that came of it, unless it is within
``grace``.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any
from urllib.parse import parse_qs, unquote_plus

__all__ = ["DEVICE_GRANT", "Reply", "TokenServer", "unsigned_jwt"]

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


@dataclass
class Reply:
    """What a server does with one request, in place of what it would do.

    Attributes:
        status: HTTP status.
        body: What it answers; JSON if it is no text.
        headers: More headers.
        does: Whether it does what is asked for, all the same, before it answers so.
        cut: Answer as many bytes of it, and hang up; 0 for none at all.
        wait: Seconds before it.
        drip: Seconds between two bytes of the body.
    """

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    does: bool = False
    cut: int | None = None
    wait: float = 0.0
    drip: float = 0.0


@dataclass
class _Family:
    """What came of one login."""

    user: str
    is_revoked: bool = False


class TokenServer:
    """The server; enter it.

    Attributes:
        life: Seconds that an access token lives.
        rotates: Whether a refresh token is exchanged with each use.
        grace: Seconds in which a used one is taken again.
        skew: Seconds that its clock is ahead.
        requests: Each form that came, with the path it came to.
        headers: The headers of these.
        replies: What to do with the next requests instead.
        reused: Refresh tokens that were presented again, outside of ``grace``.
        access_tokens: Those that are good.
        rotations: How many refresh tokens were used.
        on_rotated: Called when one was, before the answer goes.
        device_codes: The state of each device code.
    """

    def __init__(self, *, life: float = 900.0, rotates: bool = True, grace: float = 0.0) -> None:
        self.life, self.rotates, self.grace, self.skew = life, rotates, grace, 0.0
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.headers: list[dict[str, str]] = []
        self.replies: deque[Reply] = deque()
        self.reused: list[str] = []
        self.access_tokens: set[str] = set()
        self.device_codes: dict[str, str] = {}
        self.interval: float | None = 0.01
        self.lifetime = 600
        self.rotations = 0
        self.on_rotated: Callable[[], None] = lambda: None
        self.metadata: dict[str, Any] | None = None
        self.token_type = "Bearer"
        self.clients: dict[str, str] = {"me": "client-s3cret"}
        self._used: dict[str, float] = {}
        self._families: dict[str, _Family] = {}
        self._current: dict[str, str] = {}
        self._number = 0
        self._lock = threading.RLock()
        self._http: ThreadingHTTPServer | None = None

    # --- what a test does

    def log_in(self, user: str = "alice") -> str:
        """A first refresh token for a user."""
        with self._lock:
            family = f"family-{len(self._families)}"
            self._families[family] = _Family(user)
            return self._new_refresh_token(family)

    def newest(self, user: str = "alice") -> str:
        """The refresh token of the last login that is good now."""
        with self._lock:
            families = [name for name, one in self._families.items() if one.user == user]
            return self._current[families[-1]]

    def revoke(self) -> None:
        """Revoke all that was given."""
        with self._lock:
            for one in self._families.values():
                one.is_revoked = True
            self.access_tokens.clear()

    @property
    def presented(self) -> list[str]:
        """The refresh tokens that came, in order."""
        with self._lock:
            return [form["refresh_token"] for _, form in self.requests if "refresh_token" in form]

    @property
    def url(self) -> str:
        """Its address."""
        assert self._http is not None
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def token_url(self) -> str:
        return f"{self.url}/token"

    # --- what it does

    def answer(self, path: str, form: dict[str, str], authorization: str) -> tuple[int, Any]:
        """Status and body."""
        with self._lock:
            if path == "/device":
                return self._begin_device(form)
            who = self._client(form, authorization)
            if who is None:
                return 401, {"error": "invalid_client", "error_description": "no such client"}
            match form.get("grant_type"):
                case "client_credentials":
                    return 200, self._token(form)
                case "refresh_token":
                    return self._refresh(form)
                case grant if grant == DEVICE_GRANT:
                    return self._poll(form)
                case _:
                    return 400, {"error": "unsupported_grant_type"}

    def _client(self, form: dict[str, str], authorization: str) -> str | None:
        name, secret = form.get("client_id", ""), form.get("client_secret")
        if authorization.startswith("Basic "):
            pair = base64.b64decode(authorization[6:]).decode()  # RFC 6749, section 2.3.1
            name, secret = map(unquote_plus, pair.split(":"))
        if name == "public" or form.get("client_assertion"):
            return name or "signed"
        return name if self.clients.get(name) == secret else None

    def _refresh(self, form: dict[str, str]) -> tuple[int, Any]:
        token = form.get("refresh_token", "")
        family = token.partition(".")[0]
        known = self._families.get(family)
        refused = 400, {"error": "invalid_grant", "error_description": f"{token} is not good"}
        if known is None or known.is_revoked:
            return refused
        if token in self._used:
            if time.time() - self._used[token] >= self.grace:
                self.reused.append(token)
                known.is_revoked = True
                return refused
        elif self.rotates:
            self._used[token] = time.time()
        self.rotations += 1
        answer = self._token(form)
        if self.rotates:
            answer["refresh_token"] = self._new_refresh_token(family)
        self.on_rotated()
        return 200, answer

    def _begin_device(self, form: dict[str, str]) -> tuple[int, Any]:
        self._number += 1
        code = f"device-c0de-{self._number}"
        self.device_codes[code] = "authorization_pending"
        answer: dict[str, Any] = {
            "device_code": code,
            "user_code": f"WDJB-{self._number:04}",
            "verification_uri": f"{self.url}/activate",
            "verification_uri_complete": f"{self.url}/activate?user_code=WDJB-{self._number:04}",
            "expires_in": self.lifetime,
        }
        if self.interval is not None:
            answer["interval"] = self.interval
        return 200, answer

    def _poll(self, form: dict[str, str]) -> tuple[int, Any]:
        state = self.device_codes.get(form.get("device_code", ""), "invalid_grant")
        if state != "approved":
            return 400, {"error": state}
        del self.device_codes[form["device_code"]]
        return 200, {**self._token(form), "refresh_token": self.log_in()}

    def _token(self, form: dict[str, str]) -> dict[str, Any]:
        self._number += 1
        token = f"access-t0ken-{self._number}"
        self.access_tokens.add(token)
        return {"access_token": token, "token_type": self.token_type, "expires_in": self.life}

    def _new_refresh_token(self, family: str) -> str:
        self._number += 1
        self._current[family] = f"{family}.refresh-t0ken-{self._number}"
        return self._current[family]

    # --- its life

    def __enter__(self) -> TokenServer:
        self._http = _Http(("127.0.0.1", 0), _handler(self))
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._http is not None
        self._http.shutdown()
        self._http.server_close()

    @contextmanager
    def replying(self, *replies: Reply) -> Iterator[None]:
        """With these for the next requests; all of them have come at the end."""
        self.replies.extend(replies)
        yield
        assert not self.replies


class _Http(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing: a client may hang up."""

    def server_bind(self) -> None:
        """Bind without asking the network for the name of this machine, which takes seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", self.server_address[1]


def _handler(server: TokenServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            known = server.metadata is not None and self.path.startswith("/.well-known/")
            self._reply(200 if known else 404, server.metadata if known else {"no": "such page"})

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            form = {name: it[0] for name, it in parse_qs(self.rfile.read(length).decode()).items()}
            server.requests.append((self.path, form))
            server.headers.append(dict(self.headers))
            reply = server.replies.popleft() if server.replies else None
            authorization = self.headers.get("Authorization", "")
            status, body = 0, None
            if reply is None or reply.does:
                status, body = server.answer(self.path, form, authorization)
            if reply is None:
                self._reply(status, body)
                return
            time.sleep(reply.wait)
            body = body if reply.body is None else reply.body
            self._reply(reply.status, body, reply)

        def _reply(self, status: int, body: Any, reply: Reply | None = None) -> None:
            reply = reply or Reply()
            data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
            with suppress(OSError):
                if reply.cut == 0:
                    self.close_connection = True
                    self.connection.close()
                    return
                self.send_response(status)
                headers = {"Content-Type": "application/json", "Content-Length": str(len(data))}
                for name, text in {**headers, **reply.headers}.items():
                    self.send_header(name, text)
                self.end_headers()
                for place in range(0, len(data[: reply.cut]), 1 if reply.drip else 65_536):
                    end = place + (1 if reply.drip else 65_536)
                    self.wfile.write(data[: reply.cut][place:end])
                    self.wfile.flush()
                    time.sleep(reply.drip)
                if reply.cut is not None:
                    self.close_connection = True

        def date_time_string(self, timestamp: float | None = None) -> str:
            return formatdate(time.time() + server.skew, usegmt=True)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    return Handler


def unsigned_jwt(**claims: Any) -> str:
    """A JSON Web Token with these claims; nobody verifies it."""
    parts = ({"alg": "none"}, claims)
    encoded = [
        base64.urlsafe_b64encode(json.dumps(it).encode()).decode().rstrip("=") for it in parts
    ]
    return f"{encoded[0]}.{encoded[1]}.c2ln"
