"""C47 against a token endpoint on this machine: grants, rotation, errors, sockets that race."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import stat
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from math import inf
from pathlib import Path
from typing import Any

import pytest
from extras import needs
from token_server import Reply, TokenServer, unsigned_jwt

from rxsocket import (
    Ask,
    AwaitingAuth,
    ConnectFailed,
    Opened,
    Reason,
    Secret,
    Socket,
    SourceFailed,
    refreshing,
)
from rxsocket.credentials import from_file
from rxsocket.oauth import (
    DeviceLogin,
    FileStore,
    Issuer,
    MemoryStore,
    StoreFailed,
    TokenRefused,
    TokenRequestFailed,
    client_credentials,
    device_code,
    refresh_token,
)
from rxsocket.testing import reject, server

from .wire_helpers import Watch, quick

pytestmark = [needs("authlib", "requests", "filelock"), pytest.mark.only("websockets")]

SECRET = "client-s3cret"
PAGE = "<html><head><title>Please log in</title></head></html>"
REFUSED = Ask(1, Reason.REJECTED, 401)
EXPIRING = Ask(1, Reason.EXPIRING)


@pytest.fixture
def idp() -> Iterator[TokenServer]:
    """A server of tokens that are exchanged with each use."""
    with TokenServer() as running:
        yield running


def credentials_of(idp: TokenServer, **options: Any) -> Any:
    return client_credentials(idp.token_url, "me", SECRET, **options)


def refreshed(idp: TokenServer, store: Any = None, **options: Any) -> Any:
    store = MemoryStore(idp.log_in()) if store is None else store
    return refresh_token(idp.token_url, "me", SECRET, store=store, **options)


def ask(provider: Any, why: Ask | None = None) -> Any:
    return asyncio.run(provider(why))


# --- client credentials


def test_a_socket_logs_in_by_itself(idp: TokenServer) -> None:
    """C47: the access token goes to the server, and is renewed when that refuses it."""
    with server(reject(401)) as peer:
        socket = Socket(peer.url, auth=refreshing(credentials_of(idp, scope=["a", "b"])))
        watch = Watch(socket)
        watch.wait(Opened)
        assert [one.credential for one in peer.handshakes] == ["access-t0ken-1", "access-t0ken-2"]
        assert [form for _, form in idp.requests] == [
            {"grant_type": "client_credentials", "scope": "a b"}
        ] * 2
        socket.close().result(10)


METHODS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "basic": ({}, {"grant_type"}),
    "post": (
        {"auth_method": "client_secret_post"},
        {"grant_type", "client_id", "client_secret"},
    ),
    "jwt": (
        {"auth_method": "client_secret_jwt"},
        {"grant_type", "client_assertion", "client_assertion_type"},
    ),
    "more": ({"parameters": {"audience": "feed"}}, {"grant_type", "audience"}),
}


@pytest.mark.parametrize("method", METHODS)
def test_how_a_client_proves_who_it_is(idp: TokenServer, method: str) -> None:
    options, sent = METHODS[method]
    idp.clients["me"] = long = "client-s3cret-of-at-least-thirty-two-bytes"
    ask(client_credentials(idp.token_url, "me", Secret(long), **options))
    ((_, form),) = idp.requests
    assert form.keys() == sent
    assert idp.headers[0].get("Authorization", "").startswith("Basic") == (
        method in ("basic", "more")
    )


def test_ids_and_secrets_of_any_letters(idp: TokenServer) -> None:
    """RFC 6749, section 2.3.1: in HTTP Basic each is encoded as in a form."""
    name, secret = "me:2", "a+b%20 c:d&é"
    idp.clients[name] = secret
    ask(client_credentials(idp.token_url, name, Secret(secret)))
    assert len(idp.requests) == 1


def test_a_token_of_another_type_is_not_used(idp: TokenServer) -> None:
    """RFC 6749, section 7.1."""
    idp.token_type = "DPoP"
    with server() as peer:
        socket = Socket(peer.url, auth=refreshing(credentials_of(idp)))
        watch = Watch(socket)
        failed = watch.wait(ConnectFailed)
        assert "another token_type 'DPoP' than 'Bearer'" in str(failed.error)
        socket.close().result(5)
    assert peer.handshakes == []


def test_a_private_key(idp: TokenServer) -> None:
    """It signs what it proves; the key stays here."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    ask(client_credentials(idp.token_url, "me", key.decode(), auth_method="private_key_jwt"))
    assert idp.requests[0][1]["client_assertion"].count(".") == 2
    with pytest.raises(TokenRequestFailed, match="cannot be made") as raised:
        ask(client_credentials(idp.token_url, "me", "n0-pem", auth_method="private_key_jwt"))
    assert "n0-pem" not in str(raised.value) and not raised.value.is_sent


def test_a_secret_that_rotates_on_disk(idp: TokenServer, tmp_path: Path) -> None:
    """C47: it is read for each request; a wrong one is waited out, as another may come."""
    path = tmp_path / "secret"
    path.write_text("an-0ld-one\n")
    provider = client_credentials(idp.token_url, "me", from_file(path, settle=0.0))
    with pytest.raises(TokenRequestFailed, match="invalid_client") as raised:
        ask(provider)
    assert "an-0ld-one" not in str(raised.value)
    path.write_text(SECRET)
    assert ask(provider)["access_token"] == "access-t0ken-1"
    path.unlink()
    with pytest.raises(TokenRequestFailed, match="client_secret= failed: cannot read"):
        ask(provider)


def test_the_endpoint_by_its_issuer(idp: TokenServer) -> None:
    """C47: looked up once; what names another issuer is refused."""
    idp.metadata = {"issuer": idp.url, "token_endpoint": idp.token_url}
    provider = client_credentials(Issuer(f"{idp.url}/"), "me", SECRET)
    ask(provider)
    idp.metadata = None
    ask(provider)
    idp.metadata = {"issuer": "https://evil.example.com", "token_endpoint": idp.token_url}
    for metadata, says in (
        (idp.metadata, "is about another issuer"),
        (None, "HTTP 404"),
        ({"issuer": idp.url}, "has no token_endpoint"),
        ({"issuer": idp.url, "token_endpoint": "http://far.example/"}, "in clear text"),
    ):
        idp.metadata = metadata
        with pytest.raises(TokenRequestFailed, match=says):
            ask(client_credentials(Issuer(idp.url), "me", SECRET))


# --- how long a token lives


def test_the_life_of_a_token_is_counted_from_the_request(idp: TokenServer) -> None:
    """C47: an answer that was slow took some of it."""
    idp.replies.append(Reply(does=True, wait=0.5))
    assert 898.0 < ask(credentials_of(idp))["expires_in"] < 899.6


@pytest.mark.parametrize("skew", [-7200.0, 0.0, 7200.0])
def test_a_clock_that_differs(idp: TokenServer, skew: float) -> None:
    """C47: of a JWT without ``expires_in``, what is left is by the clock of its server."""
    idp.skew = skew
    token = unsigned_jwt(exp=time.time() + skew + 300)
    idp.replies.append(Reply(body={"access_token": token, "token_type": "Bearer"}))
    assert 297.0 < ask(credentials_of(idp))["expires_in"] < 302.0


@pytest.mark.parametrize(
    ("given", "found"), [("900", 900.0), (900.5, 900.5), ("soon", None), (0, None), (None, None)]
)
def test_how_servers_write_a_number(idp: TokenServer, given: Any, found: float | None) -> None:
    idp.replies.append(Reply(body={"access_token": "access-t0ken", "expires_in": given}))
    expires_in = ask(credentials_of(idp)).get("expires_in")
    assert expires_in == found or (found is not None and found - 2 < expires_in <= found)


# --- what servers say instead


ERRORS = {
    "invalid_request": "auth_method=",
    "invalid_client": "check client_id=, client_secret=",
    "invalid_grant": "check its parameters",
    "unauthorized_client": "where the client is registered",
    "unsupported_grant_type": "another token endpoint",
    "invalid_scope": "check scope=",
    "consent_required": "documentation of the server",
}


@pytest.mark.parametrize("code", ERRORS)
def test_the_errors_of_the_rfc_in_words(idp: TokenServer, code: str) -> None:
    """C47: each says what to do, and awaits another credential; what a server repeats is masked."""
    body = {"error": code, "error_description": f"not \x1b[2J {SECRET}\nforged"}
    with server() as peer:
        idp.replies.append(Reply(400, body))
        socket = Socket(peer.url, auth=refreshing(credentials_of(idp)), backoff=quick())
        watch = Watch(socket)
        said = watch.wait(AwaitingAuth).reason
        assert f"answered {code} (not \\x1b[2J *** forged)" in said and ERRORS[code] in said
        assert SECRET not in repr(watch.events)
        socket.reconnect()
        watch.wait(Opened)
        socket.close().result(10)


FAILURES: dict[str, tuple[Reply, str]] = {
    "a page": (Reply(200, PAGE), r"HTTP 200 with a page of HTML \('Please log in'\)"),
    "a page by name": (Reply(403, "no", {"Content-Type": "text/html"}), "HTTP 403 with a page"),
    "500": (Reply(500, {}), "answered HTTP 500$"),
    "502": (Reply(502, "bad"), "answered HTTP 502$"),
    "401": (Reply(401, "no"), r"HTTP 401 without an error code: check client_id=, client_secret="),
    "404": (Reply(404, {}), "HTTP 404: check the address$"),
    "503": (Reply(503, {"error": "temporarily_unavailable"}), "answered temporarily_unavailable$"),
    "a redirect": (Reply(302, "", {"Location": "http://evil/"}), "a redirect, which would take"),
    "no JSON": (Reply(200, "ok"), "with no JSON object: check the address$"),
    "a list": (Reply(200, "[1]"), "with no JSON object"),
    "no token": (Reply(200, {"token": 1}), "HTTP 200 without access_token: check the address$"),
    "deep": (Reply(200, "[" * 100_000), "with no JSON"),
    "nothing": (Reply(cut=0), "the connection ended before the answer came"),
    "cut": (Reply(200, {"access_token": "abcdefgh"}, cut=9), "its answer was cut off"),
    "late": (Reply(wait=1.0, does=True), "no answer within 0.3 s"),
    "drop by drop": (Reply(200, "x" * 12, drip=0.05), "was not there within 0.3 s"),
    "huge": (Reply(200, "x" * 2_000_000), "more than 1,048,576 bytes"),
}


@pytest.mark.parametrize("kind", FAILURES)
def test_what_is_no_answer_is_tried_again(
    idp: TokenServer, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """C47: it names the endpoint, shows no secret at any level of the log, and goes on."""
    reply, says = FAILURES[kind]
    caplog.set_level(logging.DEBUG)
    with server() as peer:
        idp.replies.append(reply)
        provider = credentials_of(idp, timeout=0.3)
        with pytest.raises(TokenRequestFailed, match=says) as raised:
            ask(provider)
        assert str(raised.value).startswith(idp.token_url)
        idp.replies.append(reply)
        socket = Socket(peer.url, auth=refreshing(provider), backoff=quick())
        watch = Watch(socket)
        watch.wait(Opened)
        assert f"failed: {idp.token_url}" in str(watch.of(ConnectFailed)[0].error)
        assert SECRET not in f"{raised.value!r} {watch.events} {caplog.text}"
        socket.close().result(10)


def test_who_cannot_be_reached() -> None:
    """C47: nothing was sent, and the text says why."""
    for url, says in (
        ("http://127.0.0.1:9/token", "nobody listens there"),
        ("https://nowhere.invalid/token", "there is no such host, or no network"),
    ):
        with pytest.raises(TokenRequestFailed, match=says) as raised:
            ask(client_credentials(url, "me", SECRET, timeout=0.5))
        assert not raised.value.is_sent


def test_a_certificate_that_is_not_trusted(tmp_path: Path) -> None:
    """C47: it says how to trust an authority of one's own."""
    import trustme
    from issuing import serving

    authority = trustme.CA()
    with server(ssl=serving(authority)) as peer:
        url = peer.url.replace("wss:", "https:") + "token"
        with pytest.raises(TokenRequestFailed, match="pass ca_file="):
            ask(client_credentials(url, "me", SECRET))
        file = tmp_path / "ca.pem"
        authority.cert_pem.write_to_path(str(file))
        with pytest.raises(TokenRequestFailed) as raised:  # it asks for a certificate of ours
            ask(client_credentials(url, "me", SECRET, ca_file=str(file)))
        assert "ca_file=" not in str(raised.value)


def test_a_server_that_says_when_to_ask_again(idp: TokenServer) -> None:
    """C47: until then it is not asked."""
    idp.replies.append(Reply(429, {}, {"Retry-After": "60"}))
    provider = credentials_of(idp)
    with pytest.raises(TokenRequestFailed, match="HTTP 429") as first:
        ask(provider)
    with pytest.raises(TokenRequestFailed, match="left alone for") as second:
        ask(provider)
    assert first.value.retry_after == 60.0 and len(idp.requests) == 1
    assert second.value.retry_after is not None and second.value.retry_after <= 60.0


# --- refresh tokens


def test_each_refresh_token_is_presented_once(idp: TokenServer) -> None:
    """C47: the store has the newest one, saved before its access token is used."""
    store = MemoryStore(idp.log_in())
    order: list[str] = []
    keep = store.save

    def save(token: Any) -> None:
        order.append("presented" if "presented_at" in token else token["access_token"])
        keep(token)

    store.save = save  # type: ignore[method-assign]
    provider = refreshed(idp, store)
    for number in range(3):
        answer = ask(provider, REFUSED)
        assert order[-2:] == ["presented", answer["access_token"]]
        assert "refresh_token" not in answer and store.load()["refresh_token"] == idp.newest()  # type: ignore[index]
        assert idp.rotations == number + 1
    assert len(set(idp.presented)) == 3 and idp.reused == []


def test_fifty_sockets_race(idp: TokenServer, tmp_path: Path) -> None:
    """C47: all are dropped and refused at once: one exchange for all of them."""
    store = FileStore(tmp_path / "token.json")
    store.save({"refresh_token": idp.log_in()})
    with server() as peer:
        peer.tokens = idp.access_tokens
        tokens = refreshing(refreshed(idp, store))
        watches = [Watch(Socket(peer.url, auth=tokens, backoff=quick())) for _ in range(50)]
        for watch in watches:
            watch.wait(Opened, timeout=20.0)
        idp.access_tokens.clear()
        peer.drop()
        for watch in watches:
            watch.wait(Opened, 2, timeout=20.0)
        assert idp.rotations == 2 and idp.reused == []
        for watch in watches:
            watch.socket.close().result(10)
    assert store.load()["refresh_token"] == idp.newest()  # type: ignore[index]


def test_many_refreshings_of_one_store(idp: TokenServer, tmp_path: Path) -> None:
    """C47: also where each has a provider of its own, as in several processes."""
    store = FileStore(tmp_path / "token.json")
    store.save({"refresh_token": idp.log_in()})
    providers = [refreshed(idp, FileStore(tmp_path / "token.json")) for _ in range(8)]

    async def main(why: Ask) -> list[Any]:
        return await asyncio.gather(*(provider(why) for provider in providers))

    for why, rotations in ((Ask(1, Reason.FIRST), 1), (EXPIRING, 1), (REFUSED, 2)):
        answers = asyncio.run(main(why))
        assert len({answer["access_token"] for answer in answers}) == 1
        assert (idp.rotations, idp.reused) == (rotations, [])


def test_the_next_run_of_a_program_uses_what_lives(idp: TokenServer, tmp_path: Path) -> None:
    """C47: without a request; an access token that is over is exchanged."""
    path = tmp_path / "token.json"
    FileStore(path).save({"refresh_token": idp.log_in()})
    first = ask(refreshed(idp, FileStore(path)))
    assert ask(refreshed(idp, FileStore(path)))["access_token"] == first["access_token"]
    idp.life = 3.0  # of which too little is left to be worth using
    again = refreshed(idp, FileStore(path))
    assert ask(again)["access_token"] == first["access_token"]
    assert ask(again, REFUSED)["access_token"] != first["access_token"]
    ask(refreshed(idp, FileStore(path)))
    assert idp.rotations == 3 and idp.reused == []


UNUSED = ("a page", "500", "503", "a redirect", "a page by name")
SLOW = ("late", "drop by drop", "huge")
UNKNOWN = (
    *("502", "no JSON", "no token", "nothing", "cut"),
    *(pytest.param(kind, marks=pytest.mark.slow) for kind in SLOW),
)


@pytest.mark.parametrize("kind", UNUSED)
def test_an_answer_that_issues_nothing_uses_nothing(idp: TokenServer, kind: str) -> None:
    """C47: the same refresh token is presented again."""
    provider = refreshed(idp)
    idp.replies.append(FAILURES[kind][0])
    with pytest.raises(TokenRequestFailed):
        ask(provider)
    assert ask(provider)["access_token"] and len(set(idp.presented)) == 1 and idp.reused == []


@pytest.mark.parametrize("kind", UNKNOWN)
@pytest.mark.parametrize("grace", [0.0, 60.0, pytest.param(inf, marks=pytest.mark.slow)])
def test_a_refresh_token_that_may_have_been_used(idp: TokenServer, kind: str, grace: float) -> None:
    """C47: it is not presented again, in this run or the next, unless the server allows that."""
    store = MemoryStore(idp.log_in())
    idp.grace = grace
    reply = FAILURES[kind][0]
    idp.replies.append(Reply(**{**vars(reply), "does": True}))
    error = TokenRefused if grace == 0.0 else TokenRequestFailed
    with pytest.raises(error, match=FAILURES[kind][1].removesuffix("$")) as raised:
        ask(refreshed(idp, store, timeout=0.3, grace_period=grace))
    if grace:
        assert ask(refreshed(idp, store, grace_period=grace))["access_token"]
        assert len(idp.presented) == 2 and idp.reused == []
        return
    assert "It is not presented again: log in again" in str(raised.value)
    with pytest.raises(TokenRefused, match="was presented before"):
        ask(refreshed(idp, store))
    assert len(idp.presented) == 1
    store.save({"refresh_token": idp.log_in()})
    assert ask(refreshed(idp, store))["access_token"]


def test_a_server_that_does_not_rotate(idp: TokenServer) -> None:
    """C47: that is found out; then an answer that is lost costs nothing."""
    idp.rotates = False
    provider = refreshed(idp)
    ask(provider)
    idp.replies.append(Reply(cut=0, does=True))
    with pytest.raises(TokenRequestFailed):
        ask(provider, REFUSED)
    assert ask(provider, REFUSED)["access_token"] == "access-t0ken-4"


def test_a_revoked_refresh_token(idp: TokenServer) -> None:
    """C47: the socket awaits a credential, and says what to do; a dead token is not tried again."""
    store = MemoryStore(idp.log_in())
    with server() as peer:
        peer.tokens = idp.access_tokens
        tokens = refreshing(refreshed(idp, store))
        socket = Socket(peer.url, auth=tokens, backoff=quick())
        watch = Watch(socket)
        watch.wait(Opened)
        idp.revoke()
        peer.drop()
        said = str(watch.wait(SourceFailed).error)
        assert "has expired, was revoked, was used before" in said and "log in again" in said
        assert "refresh-t0ken" not in repr(watch.events)
        again = refreshed(idp, store)  # in the next run of the program
        ask(again)  # what lives, as far as can be known
        with pytest.raises(TokenRefused, match="was refused before"):
            ask(again, REFUSED)
        assert len(idp.presented) == 2
        store.save({"refresh_token": idp.log_in()})
        socket.reconnect()
        watch.wait(Opened, 2)
        socket.close().result(10)


def test_a_store_without_a_token(idp: TokenServer) -> None:
    with pytest.raises(TokenRefused, match="there is no refresh token in the store: log in again"):
        ask(refreshed(idp, MemoryStore()))


def test_a_socket_that_is_closed_does_not_lose_the_answer(idp: TokenServer) -> None:
    """C47: nor does a time limit, nor a loop that ends."""
    store = MemoryStore(idp.log_in())
    idp.replies.append(Reply(does=True, wait=0.3))

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await refreshed(idp, store)()

    asyncio.run(main())
    assert store.load()["refresh_token"] == idp.newest()  # type: ignore[index]


def test_who_comes_meanwhile_gets_the_same_answer(idp: TokenServer) -> None:
    """C47: of several loops, too."""
    provider = refreshed(idp)
    answers: list[Any] = []
    idp.replies.append(Reply(does=True, wait=0.3))
    threads = [
        threading.Thread(target=lambda: answers.append(ask(provider, REFUSED))) for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({answer["access_token"] for answer in answers}) == 1 and idp.rotations == 1


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["asyncio.run", "a loop that is left", "a socket"])
def test_a_program_that_ends_waits_for_the_answer(
    idp: TokenServer, tmp_path: Path, ending: str
) -> None:
    """C47: it has begun to exchange a token, and ends: what comes back is saved."""
    store = FileStore(tmp_path / "token.json")
    store.save({"refresh_token": idp.log_in()})
    idp.replies.append(Reply(does=True, wait=1.0))
    program = textwrap.dedent("""
        import asyncio, sys, time
        from rxsocket import Socket, refreshing
        from rxsocket.oauth import FileStore, refresh_token

        ending, url, path = sys.argv[1:]
        provider = refresh_token(url, "me", "client-s3cret", store=FileStore(path))

        async def begin():
            global task
            task = asyncio.ensure_future(provider())
            while "presented_at" not in FileStore(path).load():
                await asyncio.sleep(0.01)

        if ending == "asyncio.run":
            asyncio.run(begin())
        elif ending == "a socket":
            socket = Socket("ws://127.0.0.1:9/", auth=refreshing(provider))
            socket.connect()
            while "presented_at" not in FileStore(path).load():
                time.sleep(0.01)
        else:
            asyncio.new_event_loop().run_until_complete(begin())
    """)
    command = [sys.executable, "-c", program, ending, idp.token_url, str(tmp_path / "token.json")]
    subprocess.run(command, check=True, capture_output=True, timeout=40)
    saved = store.load() or {}
    assert saved["refresh_token"] == idp.newest() and "presented_at" not in saved


# --- stores


class AsyncStore:
    """A store of the user's, with what it needs of its loop."""

    def __init__(self, refresh_token: str) -> None:
        self.token: dict[str, Any] = {"refresh_token": refresh_token}
        self.loops: set[int] = set()
        self.fails: list[Exception | None] = []

    async def load(self) -> dict[str, Any]:
        await asyncio.sleep(0.01)
        return self.token

    async def save(self, token: Any) -> None:
        self.loops.add(id(asyncio.get_running_loop()))
        await asyncio.sleep(0.01)
        error = self.fails.pop(0) if self.fails else None
        if error is not None:
            raise error
        self.token = token


def test_an_async_store_is_called_on_the_loop(idp: TokenServer) -> None:
    """C47: and a loop that ends waits for it."""
    store = AsyncStore(idp.log_in())

    async def main() -> int:
        provider = refreshed(idp, store)
        await provider()
        idp.replies.append(Reply(does=True, wait=0.3))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await provider(REFUSED)
        return id(asyncio.get_running_loop())

    assert asyncio.run(main()) in store.loops and len(store.loops) == 1
    assert store.token["refresh_token"] == idp.newest() and idp.rotations == 2


def test_an_answer_that_cannot_be_saved_is_kept(idp: TokenServer) -> None:
    """C47: nobody gets it before it is saved; then it is given without a request."""
    store = AsyncStore(idp.log_in())
    provider = refreshed(idp, store)
    store.fails = [None, OSError("the disk is full"), OSError("still")]
    for says in ("OSError: the disk is full", "OSError: still"):
        with pytest.raises(TokenRequestFailed, match=f"a new token came, and cannot be .*{says}"):
            ask(provider)
    assert ask(provider)["access_token"] == "access-t0ken-2"
    assert store.token["refresh_token"] == idp.newest() and idp.rotations == 1


def test_a_store_that_fails_before_presents_nothing(idp: TokenServer) -> None:
    """C47: what it raises is shown without a token."""
    token = idp.log_in()
    store = AsyncStore(token)
    store.fails = [OSError(f"no room for {token}")]
    with pytest.raises(TokenRequestFailed, match="raised OSError: no room for \\*\\*\\*"):
        ask(refreshed(idp, store))
    assert idp.presented == []
    store.token = "a text"  # type: ignore[assignment]
    with pytest.raises(TokenRequestFailed, match="returned str: return what save"):
        ask(refreshed(idp, store))


def test_a_login_meanwhile_counts(idp: TokenServer) -> None:
    """C47: what could not be saved does not take the place of a newer login."""
    store = AsyncStore(idp.log_in())
    provider = refreshed(idp, store)
    store.fails = [None, OSError("full")]
    with pytest.raises(TokenRequestFailed):
        ask(provider)
    store.token = {"refresh_token": idp.log_in()}
    ask(provider)
    assert store.token["refresh_token"] == idp.newest() and idp.reused == []


def test_a_file_store(tmp_path: Path) -> None:
    """C47: only its user may read it; a link is followed; nothing else is left behind."""
    path, link = tmp_path / "token.json", tmp_path / "link"
    link.symlink_to(path)
    store = FileStore(link)
    assert store.load() is None
    old = os.umask(0)
    try:
        with store.lock():
            store.save({"refresh_token": "s3cret-refresh"})
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and link.is_symlink()
    FileStore(tmp_path / "made" / "token.json").save({})
    assert stat.S_IMODE((tmp_path / "made").stat().st_mode) == 0o700
    shutil.rmtree(tmp_path / "made")
    assert {one.name for one in tmp_path.iterdir()} - {"token.json.lock"} == {"token.json", "link"}
    assert store.load() == json.loads(path.read_text()) == {"refresh_token": "s3cret-refresh"}
    assert "s3cret-refresh" not in f"{store!r} {MemoryStore('s3cret-refresh')!r}"


def test_a_file_that_is_no_store(tmp_path: Path, idp: TokenServer) -> None:
    """C47: it says what to do, and is not overwritten."""
    path = tmp_path / "token.json"
    path.write_text('{"refresh_token": "s3cret-ha')
    with pytest.raises(StoreFailed, match="holds no token: delete it, and log in again"):
        FileStore(path).load()
    with pytest.raises(TokenRequestFailed, match="holds no token") as raised:
        ask(refreshed(idp, FileStore(path)))
    assert "s3cret-ha" not in str(raised.value) and path.read_text().endswith("s3cret-ha")
    with pytest.raises(StoreFailed, match="cannot write"):
        FileStore(path / "token.json").save({})
    with pytest.raises(TokenRequestFailed, match="cannot lock"):
        ask(refreshed(idp, FileStore(path / "token.json")))


def test_a_lock_that_another_process_keeps(tmp_path: Path, idp: TokenServer) -> None:
    """C47: it is waited for, but not for ever."""
    path = tmp_path / "token.json"
    store = FileStore(path, lock_timeout=0.1)
    store.save({"refresh_token": idp.log_in()})
    with FileStore(path).lock(), pytest.raises(TokenRequestFailed, match="another process has"):
        ask(refreshed(idp, store))
    assert ask(refreshed(idp, store))["access_token"]


# --- a device


def approve(idp: TokenServer, state: str = "approved") -> None:
    for code in idp.device_codes:
        idp.device_codes[code] = state


def logging_in(idp: TokenServer, **options: Any) -> Any:
    return device_code(f"{idp.url}/device", idp.token_url, "public", **options)


def test_somebody_logs_in_on_another_device(
    idp: TokenServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """C47: the prompt says where, once; the refresh token that comes is used from then on."""
    store = MemoryStore()
    with server() as peer:
        peer.tokens = idp.access_tokens
        tokens = refreshing(logging_in(idp, store=store, scope="feed"), timeout=None)
        watches = [Watch(Socket(peer.url, auth=tokens, backoff=quick())) for _ in range(5)]
        while len(idp.requests) < 4:
            time.sleep(0.01)
        approve(idp)
        for watch in watches:
            watch.wait(Opened)
        assert capsys.readouterr().out == (
            f"To log in, open {idp.url}/activate and enter the code WDJB-0001\n"
            f"or open {idp.url}/activate?user_code=WDJB-0001\n"
        )
        idp.access_tokens.clear()
        peer.drop()
        for watch in watches:
            watch.wait(Opened, 2)
            watch.socket.close().result(10)
    assert idp.rotations == 1 and capsys.readouterr().out == ""
    assert idp.requests[0] == ("/device", {"client_id": "public", "scope": "feed"})
    assert store.load()["refresh_token"] == idp.newest()  # type: ignore[index]


def test_a_login_goes_on_from_call_to_call(idp: TokenServer) -> None:
    """C47: with a time limit, too: one prompt, however many calls."""
    prompts: list[DeviceLogin] = []

    async def prompt(login: DeviceLogin) -> None:
        prompts.append(login)
        await asyncio.sleep(0)

    with server() as peer:
        tokens = refreshing(logging_in(idp, prompt=prompt), timeout=0.1)
        socket = Socket(peer.url, auth=tokens, backoff=quick())
        watch = Watch(socket)
        watch.wait(ConnectFailed, 2)
        approve(idp)
        watch.wait(Opened)
        socket.close().result(10)
    assert [one.user_code for one in prompts] == ["WDJB-0001"]
    assert "device-c0de" not in repr(watch.events)


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ("access_denied", "said no: log in again"),
        ("expired_token", "nobody logged in within the time"),
        ("invalid_grant", "the device code is unknown"),
    ],
)
def test_a_login_that_comes_to_nothing(idp: TokenServer, state: str, says: str) -> None:
    """C47: sockets await a credential; ``reconnect()`` prompts anew."""
    prompts: list[DeviceLogin] = []
    with server() as peer:
        login = logging_in(idp, prompt=prompts.append)
        socket = Socket(peer.url, auth=refreshing(login, timeout=None), backoff=quick())
        watch = Watch(socket)
        while not prompts:
            time.sleep(0.01)
        approve(idp, state)
        assert says in watch.wait(AwaitingAuth).reason
        socket.reconnect()
        while len(prompts) < 2:
            time.sleep(0.01)
        approve(idp)
        watch.wait(Opened)
        socket.close().result(10)


def test_polling_slows_down(idp: TokenServer) -> None:
    """C47: ``slow_down``, and an answer that does not come, make the interval longer."""
    from rxsocket.oauth import device

    idp.interval = 0.01
    login = logging_in(idp, prompt=lambda _: None)
    intervals: list[float] = []
    original = device.INTERVAL
    device.INTERVAL = 0.05
    try:
        idp.replies.extend([Reply(does=True), Reply(400, {"error": "slow_down"}), Reply(500, {})])

        async def main() -> None:
            task = asyncio.ensure_future(login())
            while idp.replies:
                await asyncio.sleep(0.005)
                if login._pending is not None:
                    intervals.append(round(login._pending.interval, 3))
            approve(idp)
            await task

        asyncio.run(main())
    finally:
        device.INTERVAL = original
    assert sorted(set(intervals))[:2] == [0.01, 0.06]


# --- what it is made of


WRONG: dict[str, tuple[Any, type[Exception], str]] = {
    "no address": (lambda: client_credentials("login", "me", "s"), ValueError, r"\(token_url\)"),
    "clear text": (
        lambda: client_credentials("http://login.example.com/t", "me", "s"),
        ValueError,
        "in clear text to login.example.com: pass https://",
    ),
    "user info": (
        lambda: client_credentials("https://u:p@login.example.com/t", "me", "s"),
        ValueError,
        "without user info",
    ),
    "a number": (lambda: client_credentials(7, "me", "s"), TypeError, r"\(token_url\): pass"),
    "no id": (lambda: client_credentials("https://a/t", "", "s"), ValueError, r"\(client_id\)"),
    "no secret": (
        lambda: client_credentials("https://a/t", "me", None),
        ValueError,
        r"\(client_secret\): pass one",
    ),
    "a secret that is empty": (
        lambda: client_credentials("https://a/t", "me", ""),
        ValueError,
        r"\(client_secret\): it is empty",
    ),
    "method": (
        lambda: client_credentials("https://a/t", "me", "s", auth_method="basic"),
        ValueError,
        "pass one of client_secret_basic, ",
    ),
    "none": (
        lambda: client_credentials("https://a/t", "me", "s", auth_method="none"),
        ValueError,
        "goes without client_secret=",
    ),
    "scope": (
        lambda: client_credentials("https://a/t", "me", "s", scope=7),
        TypeError,
        r"\(scope\): pass a string such as 'read write'",
    ),
    "parameters": (
        lambda: client_credentials("https://a/t", "me", "s", parameters=["a"]),
        TypeError,
        r"\(parameters\): pass a mapping",
    ),
    "timeout": (
        lambda: client_credentials("https://a/t", "me", "s", timeout=0),
        ValueError,
        r"\(timeout\)",
    ),
    "store": (
        lambda: refresh_token("https://a/t", "me", store="token.json"),
        TypeError,
        r"\(store\): pass FileStore\(path\)",
    ),
    "a class": (
        lambda: refresh_token("https://a/t", "me", store=FileStore),
        TypeError,
        r"\(store\): pass FileStore\(path\).* not the class FileStore",
    ),
    "saved": (
        lambda: FileStore("t.json").save("t0ken"),
        TypeError,
        r"FileStore.save\(token\): pass a mapping such as {'refresh_token': '...'}, not str",
    ),
    "kept": (lambda: MemoryStore().save("t0ken"), TypeError, r"MemoryStore.save\(token\): pass a"),
    "grace": (
        lambda: refresh_token("https://a/t", "me", store=MemoryStore(), grace_period=-1),
        ValueError,
        r"\(grace_period\)",
    ),
    "first token": (lambda: MemoryStore(7), TypeError, r"MemoryStore\(refresh_token\)"),
    "file": (lambda: FileStore(7), TypeError, r"FileStore\(path\)"),
    "no file": (lambda: FileStore(""), TypeError, r"FileStore\(path\): .*not an empty text"),
    "device": (lambda: device_code("x", "https://a/t", "me"), ValueError, r"\(device_url\)"),
    "prompt": (
        lambda: device_code("https://a/d", "https://a/t", "me", prompt="hi"),
        TypeError,
        r"\(prompt\)",
    ),
    "issuer": (lambda: Issuer("https://a/?b"), ValueError, r"Issuer\(url\)"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_arguments_fail_at_once(kind: str) -> None:
    make, error, says = WRONG[kind]
    with pytest.raises(error, match=says):
        make()


def test_without_the_extra() -> None:
    """C47: the error names it, at once; importing the module is free."""
    program = textwrap.dedent("""
        import sys
        from rxsocket import oauth
        assert "authlib" not in sys.modules and "requests" not in sys.modules
        sys.modules["authlib"] = None
        import importlib.util
        find = importlib.util.find_spec
        oauth.client.find_spec = lambda name: None if name == "authlib" else find(name)
        try:
            oauth.client_credentials("https://a/t", "me", "s")
        except ModuleNotFoundError as error:
            print(error)
    """)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30
    )
    assert done.stdout.strip() == (
        "rxsocket.oauth needs authlib: run pip install 'rxsocket[oauth]'"
    ), done.stderr


CANARIES = ("client-s3cret", "refresh-t0ken", "access-t0ken", "device-c0de")


def test_nothing_of_it_shows(idp: TokenServer, caplog: pytest.LogCaptureFixture) -> None:
    """C28: in no repr, in no error with its frames, and at no level of any log."""
    caplog.set_level(logging.DEBUG)
    store = MemoryStore(idp.log_in())
    things = [credentials_of(idp), refreshed(idp, store), logging_in(idp), store]
    shown = [repr(thing) for thing in things]
    ask(things[0])
    ask(things[1])
    idp.replies.append(Reply(400, {"error": "invalid_grant", "error_description": store.load()}))
    with pytest.raises(TokenRefused) as raised:
        ask(things[1], REFUSED)
    trace = raised.value.__traceback__
    while trace is not None:
        if trace.tb_frame.f_globals["__name__"].split(".")[0] == "rxsocket":
            shown += [repr(value) for value in trace.tb_frame.f_locals.values()]
        trace = trace.tb_next
    shown += [repr(raised.value), repr(raised.value.__context__), caplog.text]
    assert [canary for canary in CANARIES if canary in " ".join(shown)] == []
