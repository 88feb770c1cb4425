"""One request to an authorisation server, and what its answer says (RFC 6749, sections 4 and 5).

It blocks. What may have reached the server and what did not is told apart, as a refresh token that
may have been used is another matter than one that was not.
"""

from __future__ import annotations

import json
import re
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from rxsocket.auth.masks import Mask
from rxsocket.oauth.client import Client
from rxsocket.oauth.errors import CODES, TRANSIENT, TokenRefused, TokenRequestFailed, meaning
from rxsocket.texts import printable
from rxsocket.validation import is_mapping

LARGEST = 2**20
"""Bytes of an answer; one has a few thousand."""
MOST_WAIT = 300.0
"""Seconds that a server is obeyed that says when to ask again."""
GATEWAY = (502, 504)
"""Statuses of somebody between us and the server, who does not know what that did."""
_TITLE = re.compile(r"(?is)<title[^>]*>(.*?)</title>")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class EndpointAnswer:
    """What an endpoint answered.

    Attributes:
        fields: The JSON object.
        sent_at: Wall time at which the request was sent, in seconds since 1970.
        server_time: The server's own clock with its answer, if it said what that is.
    """

    fields: Mapping[str, Any] = field(repr=False)
    sent_at: float
    server_time: float | None


@dataclass(frozen=True, slots=True)
class Http:
    """How requests are sent.

    Attributes:
        timeout: Seconds that connecting, and each wait for a part of the answer, may take.
        ca_file: Certificates of authorities, in PEM; ``None`` for those of requests.
    """

    timeout: float
    ca_file: str | None


def checked_url(argument: str, url: str, *, allow_http: bool) -> str:
    """Check the address of an endpoint.

    Raises:
        TypeError: If it is not a string.
        ValueError: If it is none that secrets may be sent to.
    """
    if not isinstance(url, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"{argument}: pass an address such as 'https://login.example.com/token'")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{argument}: pass an address such as 'https://login.example.com/token'")
    if parts.username is not None or parts.fragment:
        raise ValueError(f"{argument}: pass it without user info and without a fragment")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK and not allow_http:
        raise ValueError(
            f"{argument}: secrets would go in clear text to {parts.hostname}: pass https://, or "
            "allow_http=True in a network that you trust"
        )
    return url


def shown(url: str) -> str:
    """An address as errors name it: without its query, which may hold a secret."""
    return printable(url.partition("?")[0], 200)


class Exchange:
    """One request of a client, which is sent once.

    Args:
        client: The client.
        http: How it is sent.
        url: Where to.
    """

    def __init__(self, client: Client, http: Http, url: str) -> None:
        self._client = client
        self._http = http
        self._url = url
        self._where = shown(url)
        self._mask = Mask()

    def token(self, grant_type: str, fields: Mapping[str, str]) -> EndpointAnswer:
        """Ask for a token.

        Raises:
            TokenRequestFailed: If there is none this time.
            TokenRefused: If the server says no.
        """
        responses: list[_Response] = []
        secret = self._prepare(fields)
        sent_at = time.time()
        with self._client.session(secret, self._url) as session:

            def read(response: Any) -> Any:
                responses.append(self._read(response))
                return response

            session.register_compliance_hook("access_token_response", read)
            self._send(
                lambda: session.fetch_token(
                    self._url, grant_type=grant_type, **fields, **self._options()
                ),
                responses,
            )
        return self._answer(responses[0], sent_at, grant_type, "access_token")

    def post(self, fields: Mapping[str, str], needed: str) -> EndpointAnswer:
        """Post a form, for another endpoint than that of tokens.

        Args:
            fields: The form.
            needed: An entry that the answer has.
        """
        responses: list[_Response] = []
        secret = self._prepare(fields)
        sent_at = time.time()
        with self._client.session(secret, self._url) as session:
            auth = session.client_auth(self._client.method)
            self._send(
                lambda: responses.append(
                    self._read(
                        session.post(self._url, data=dict(fields), auth=auth, **self._options())
                    )
                ),
                responses,
            )
        return self._answer(responses[0], sent_at, "", needed)

    def get(self) -> EndpointAnswer:
        """Get a document."""
        responses: list[_Response] = []
        sent_at = time.time()
        with self._client.session(None, self._url) as session:
            self._send(
                lambda: responses.append(
                    self._read(
                        session.request("GET", self._url, withhold_token=True, **self._options())
                    )
                ),
                responses,
            )
        return self._answer(responses[0], sent_at, "", "issuer")

    # --- sending

    def _prepare(self, fields: Mapping[str, str]) -> str | None:
        secret = self._client.secret()
        self._mask = Mask.of({"client_secret": secret or "", **_secrets(fields)})
        return secret

    def _options(self) -> dict[str, Any]:
        # A redirect is not followed: it would take the secrets along.
        return {
            "allow_redirects": False,
            "timeout": self._http.timeout,
            "stream": True,
            "verify": self._http.ca_file or True,
        }

    def _send(self, send: Any, responses: list[_Response]) -> None:
        """Send it; what Authlib makes of an answer that is there is not needed."""
        failure: TokenRequestFailed | None = None
        try:
            send()
        except TokenRequestFailed as error:
            failure = error.with_traceback(None)
        except Exception as error:
            if not responses:
                failure = self._unreachable(error)
        if failure is not None:
            raise failure
        if not responses:
            raise TokenRequestFailed(f"{self._where} gave no answer", is_sent=True)

    def _unreachable(self, error: Exception) -> TokenRequestFailed:
        """What it means that there is no answer, without a text that may quote the request."""
        names = [type(one).__name__ for one in _chain(error)]
        if any(isinstance(one, ssl.SSLCertVerificationError) for one in _chain(error)):
            return TokenRequestFailed(
                f"{self._where}: its certificate is not trusted; if its authority is your own, "
                "pass ca_file="
            )
        if any(_is_of_handshake(one) for one in _chain(error)):
            return TokenRequestFailed(f"{self._where}: TLS failed; does it speak https://?")
        if "NameResolutionError" in names:
            return TokenRequestFailed(f"{self._where}: there is no such host, or no network")
        if "ConnectTimeoutError" in names or "ConnectTimeout" in names:
            return TokenRequestFailed(f"{self._where}: no connection within {self._limit}")
        if "NewConnectionError" in names or "ConnectionRefusedError" in names:
            return TokenRequestFailed(f"{self._where}: nobody listens there")
        if not any(name in names for name in ("RequestException", "ConnectionError")) and not any(
            type(one).__module__.startswith(("requests", "urllib3")) for one in _chain(error)
        ):
            # Before anything was sent: a key that Authlib cannot sign with, a missing file.
            text = "check client_secret=, auth_method= and ca_file="
            return TokenRequestFailed(
                f"the request to {self._where} cannot be made ({type(error).__name__}): {text}"
            )
        if any("Timeout" in name for name in names):
            return TokenRequestFailed(
                f"{self._where}: no answer within {self._limit}", is_sent=True
            )
        return TokenRequestFailed(
            f"{self._where}: the connection ended before the answer came ({names[-1]})",
            is_sent=True,
        )

    @property
    def _limit(self) -> str:
        return f"{self._http.timeout:g} s"

    # --- reading

    def _read(self, response: Any) -> _Response:
        body, deadline = bytearray(), time.monotonic() + self._http.timeout
        failure = ""
        try:
            while part := response.raw.read1(65_536, decode_content=True):
                body += part
                if len(body) > LARGEST:
                    failure = f"{self._where}: its answer has more than {LARGEST:,} bytes"
                elif time.monotonic() > deadline:
                    failure = f"{self._where}: its answer was not there within {self._limit}"
                if failure:
                    break
        except Exception as error:
            failure = f"{self._where}: its answer was cut off ({type(error).__name__})"
        finally:
            response.close()
        if failure:
            is_sent = response.status_code < 400 or response.status_code in GATEWAY
            raise TokenRequestFailed(failure, is_sent=is_sent)
        headers: Mapping[str, str] = response.headers
        return _Response(response.status_code, headers, bytes(body))

    def _answer(
        self, response: _Response, sent_at: float, grant_type: str, needed: str
    ) -> EndpointAnswer:
        fields = response.fields
        if fields is not None and "error" in fields:
            raise self._refusal(response, fields, grant_type)
        if 200 <= response.status < 300 and fields is not None and fields.get(needed):
            return EndpointAnswer(fields, sent_at, response.server_time)
        raise self._failure(response, needed)

    def _refusal(
        self, response: _Response, fields: Mapping[str, Any], grant_type: str
    ) -> TokenRequestFailed | TokenRefused:
        code = fields.get("error")
        if code not in CODES:  # of one of these no part is a secret
            code = self._said(code, 60)
        described = self._said(fields.get("error_description"), 300)
        text = f"{self._where} answered {code}"
        if described:
            text += f" ({described})"
        is_late = code in TRANSIENT or response.status == 429 or response.status >= 500
        if code == "invalid_client" and self._client.is_secret_asked_for:
            is_late, text = True, f"{text}: {meaning(code, grant_type)}"
        if is_late:
            is_sent = response.status in GATEWAY
            wait = response.retry_after
            return TokenRequestFailed(text, code=code, is_sent=is_sent, retry_after=wait)
        return TokenRefused(f"{text}: {meaning(code, grant_type)}", code=code)

    def _failure(self, response: _Response, needed: str) -> TokenRequestFailed:
        """An answer that is neither a token nor a refusal, by what it looks like."""
        status, is_sent = response.status, response.status in GATEWAY
        if 300 <= status < 400:
            text = (
                f"{self._where} answered HTTP {status}, a redirect, which would take the secrets "
                "along: pass the address that it leads to, if it is the server's"
            )
        elif response.is_page:
            title = self._said(response.title, 100)
            text = f"{self._where} answered HTTP {status} with a page of HTML"
            text += f" ({title!r})" if title else ""
            text += ", which is no token: check the address, or whether a proxy asks for a login"
        elif 200 <= status < 300:
            is_sent = True
            what = "with no JSON object" if response.fields is None else f"without {needed}"
            text = f"{self._where} answered HTTP {status} {what}: check the address"
        else:
            text = f"{self._where} answered HTTP {status}{_STATUSES.get(status, '')}"
        return TokenRequestFailed(text, is_sent=is_sent, retry_after=response.retry_after)

    def _said(self, text: Any, longest: int) -> str:
        """What a server says, on one line and without a secret that it repeats."""
        if not isinstance(text, str):
            return ""
        return printable(self._mask.in_reason(" ".join(text.split())), longest)


@dataclass(frozen=True, slots=True)
class _Response:
    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def fields(self) -> Mapping[str, Any] | None:
        """The JSON object in it, if there is one."""
        try:
            found: Any = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        return found if is_mapping(found) else None

    @property
    def is_page(self) -> bool:
        is_named = "html" in self.headers.get("Content-Type", "").lower()
        return is_named or self.body.lstrip()[:1] == b"<"

    @property
    def title(self) -> str:
        found = _TITLE.search(self.body[:65_536].decode("utf-8", "replace"))
        return found[1] if found else ""

    @property
    def server_time(self) -> float | None:
        return _date(self.headers.get("Date", ""))

    @property
    def retry_after(self) -> float | None:
        """RFC 9110, section 10.2.3: seconds, or a date, which is by the server's clock."""
        text = self.headers.get("Retry-After", "").strip()
        if text.isascii() and text.isdigit():
            return min(float(text[:9]), MOST_WAIT)
        until = _date(text)
        if until is None:
            return None
        return min(max(0.0, until - (self.server_time or time.time())), MOST_WAIT)


def _date(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def _is_of_handshake(error: BaseException) -> bool:
    """Whether TLS failed before anything was sent over it."""
    reason = str(getattr(error, "reason", "")) if isinstance(error, ssl.SSLError) else ""
    return any(word in reason for word in ("VERSION", "HANDSHAKE", "PROTOCOL"))


_STATUSES = {
    401: " without an error code: check client_id=, client_secret= and auth_method=",
    404: ": check the address",
    405: ": check the address",
}

_SECRETS = ("refresh_token", "device_code", "token")


def _secrets(fields: Mapping[str, str]) -> Mapping[str, str]:
    return {name: fields[name] for name in _SECRETS if name in fields}


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An exception, and those that it came of, also where urllib3 keeps them."""
    seen: list[BaseException] = []
    rest: list[Any] = [error]
    while rest:
        one = rest.pop(0)
        if isinstance(one, BaseException) and one not in seen:
            seen.append(one)
            yield one
            rest += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
