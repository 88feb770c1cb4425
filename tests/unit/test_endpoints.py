"""What may be passed as an endpoint, and which hosts are allowed (C33)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reactivex.subject import BehaviorSubject

from rxsocket import Socket, endpoint
from rxsocket.endpoint.hosts import allowed_host, is_allowed
from rxsocket.testing import fake
from rxsocket.url import Address, split_unix

URL = "wss://a.test/feed"

BAD: dict[str, tuple[Any, dict[str, Any], type[Exception], str]] = {
    "a number": (7, {}, TypeError, "endpoint(source): pass a string such as"),
    "nothing": (None, {}, TypeError, "endpoint(source): pass a string such as"),
    "a mapping": ({"url": URL}, {}, TypeError, "endpoint(source): pass a string such as"),
    "an empty list": ([], {}, ValueError, "endpoint(source): the list is empty"),
    "an address in a list": ([URL, "ftp://b.test/"], {}, ValueError, "endpoint(source)[1]: not a"),
    "no address in a list": ([URL, 7], {}, TypeError, "endpoint(source)[1]: pass a string"),
    "mixed": ([URL, "ws://b.test/"], {}, ValueError, "endpoint(source)[1]: ws:// among wss://"),
    "an endpoint": (endpoint(URL), {}, TypeError, "endpoint(source): this is an endpoint already"),
    "a function of two": (lambda a, b: URL, {}, TypeError, "endpoint(source): pass a function of"),
    "a subject": (BehaviorSubject("no"), {}, ValueError, "endpoint(source) (the value of the Beh"),
    "hosts: a string": (URL, {"hosts": "a.test"}, TypeError, "endpoint(hosts): pass a list such"),
    "hosts: a number": (URL, {"hosts": 7}, TypeError, "endpoint(hosts): pass a list such"),
    "hosts: numbers": (URL, {"hosts": [7]}, TypeError, "endpoint(hosts): pass names of hosts"),
    "hosts: none": (URL, {"hosts": []}, ValueError, "endpoint(hosts): the list is empty"),
    "subdomains": (URL, {"subdomains": 1}, TypeError, "endpoint(subdomains): pass True or False"),
    "local: a number": (URL, {"local_address": 7}, TypeError, "endpoint(local_address): pass a"),
    "local: nothing": (
        URL,
        {"local_address": ""},
        ValueError,
        "endpoint(local_address): pass a host",
    ),
    "local: one text": (
        URL,
        {"local_address": "192.0.2.7:80"},
        ValueError,
        "endpoint(local_address): pass the port beside the host",
    ),
    "local: a port": (
        URL,
        {"local_address": ("192.0.2.7", 65536)},
        ValueError,
        "endpoint(local_address)[1]: pass a port from 0",
    ),
    "local: a text as port": (
        URL,
        {"local_address": ("192.0.2.7", "80")},
        TypeError,
        "endpoint(local_address)[1]: pass a port",
    ),
    "local of a unix socket": (
        "unix:/run/a.sock",
        {"local_address": "192.0.2.7"},
        ValueError,
        "endpoint(local_address): a unix socket has none",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_used_fails_at_once(name: str) -> None:
    """The error names the argument and says what to pass."""
    source, options, kind, text = BAD[name]
    with pytest.raises(kind) as caught:
        endpoint(source, **options)
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "*",
        "*.",
        "a test",
        "wss://a.test",
        "a.test:443",
        "a.test/x",
        "a..b",
        "x.*.test",
        "user@a",
    ],
)
def test_what_is_no_host_is_not_allowed(host: str) -> None:
    with pytest.raises(ValueError, match=r"^endpoint\(hosts\): "):
        endpoint(URL, hosts=[host])


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("A.Test.", "a.test"),
        ("*.A.Test", "*.a.test"),
        ("bücher.test", "xn--bcher-kva.test"),
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("10.0.0.1", "10.0.0.1"),
        ("unix:/run/a.sock", "unix:/run/a.sock"),
        ("ws+unix:///run/a%3Ab.sock", "unix:/run/a:b.sock"),
    ],
)
def test_a_host_is_compared_by_what_it_means(written: str, meant: str) -> None:
    assert allowed_host("hosts", written) == meant


LABEL = st.text("abc", min_size=1, max_size=3)
NAME = st.lists(LABEL, min_size=1, max_size=4).map(".".join)


@given(host=NAME, one=NAME, subdomains=st.booleans())
def test_a_subdomain_ends_at_a_dot(host: str, one: str, subdomains: bool) -> None:
    """Whatever the names are: the host itself, or something with a dot before it."""
    below = host != one and host.split(".")[-len(one.split(".")) :] == one.split(".")
    assert is_allowed(host, [one], subdomains=subdomains) is (host == one or (subdomains and below))
    assert is_allowed(host, [f"*.{one}"], subdomains=subdomains) is below
    assert not is_allowed(host, [], subdomains=True)


def test_options_are_checked_against_each_address() -> None:
    """TLS settings go with ``wss://`` alone, a proxy with no unix socket, one Authorization."""
    import ssl

    context = ssl.create_default_context()
    for url in ("ws://a.test/", "unix:/run/a.sock", ["ws://a.test/", "ws://b.test/"]):
        with pytest.raises(ValueError, match="ssl: goes with a wss"):
            Socket(url, ssl=context)
    with pytest.raises(ValueError, match="proxy: a unix socket is not reached"):
        Socket("unix:/run/a.sock", proxy="http://127.0.0.1:3128")
    with pytest.raises(ValueError, match="Authorization"):
        Socket([URL, "wss://u:p@b.test/"], additional_headers={"Authorization": "x"})
    with pytest.raises(ValueError, match="proxy: pass an address such as"):
        Socket(lambda: URL, proxy="nonsense")


def test_one_url_that_is_asked_for_has_a_name() -> None:
    """In the repr, and where no address is known; no secret of a written one shows."""

    def where() -> str:
        return URL

    socket = Socket(endpoint(where), transport=fake(), name="feed")
    name = "<Endpoint test_one_url_that_is_asked_for_has_a_name.<locals>.where>"
    assert socket.url == name
    assert repr(socket) == f"<Socket feed {name}: idle>"
    shown = repr(endpoint(["wss://u:s3cret@a.test/?t=s3cret"], hosts=["b.test"]))
    assert "s3cret" not in shown and "b.test" in shown


UNIX: dict[str, tuple[str, str, str]] = {
    "unix:/run/a.sock": ("/run/a.sock", "ws://localhost", "unix:/run/a.sock"),
    "unix:/run/a.sock:/p?q=1": ("/run/a.sock", "ws://localhost/p?q=1", "unix:/run/a.sock:/p?q=***"),
    "unix:///run/a.sock:?q=1": ("/run/a.sock", "ws://localhost?q=1", "unix:///run/a.sock:?q=***"),
    "ws+unix:/run/a%3Ab.sock:/": ("/run/a:b.sock", "ws://localhost/", "ws+unix:/run/a%3Ab.sock:/"),
}


@pytest.mark.parametrize("url", UNIX)
def test_an_address_of_a_unix_socket(url: str) -> None:
    """Its parts, what is shown, and where redirects lead."""
    path, behind, shown = UNIX[url]
    address = Address.parse(url)
    assert split_unix(url) == (path, behind)
    assert (address.shown, address.host) == (shown, f"unix:{path}")
    assert address.is_unix and not address.secure and not address.has_user_info
    there = address.join("/there?x=2")
    assert split_unix(there.url) == (path, "ws://localhost/there?x=2")
    assert there.origin == address.origin
    assert split_unix(address.with_query([("k", "v")]))[0] == path
    assert address.join("ws://b.test/").host == "b.test"


@pytest.mark.parametrize(
    "url",
    [
        "unix:run/a",
        "unix:",
        "unix:/run/a?q=1",
        "unix:/run/a:b",
        f"unix:/{'a' * 104}",
        "unix:/a:/#b",
    ],
)
def test_what_is_none_of_a_unix_socket(url: str) -> None:
    with pytest.raises(ValueError, match=r"^url: "):
        Socket(url)


def test_no_server_redirects_to_a_unix_socket() -> None:
    with pytest.raises(ValueError, match="may not redirect to a unix socket"):
        Address.parse("ws://a.test/").join("unix:/run/a.sock:/")
