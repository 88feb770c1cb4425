"""The carrier that proves who we are in the handshake of TLS, with a certificate (C39)."""

from __future__ import annotations

from typing import Any

from rxsocket.auth.carrier import Carried, Combinable
from rxsocket.auth.certificates import ClientCertificate
from rxsocket.auth.credentials import CredentialValue

ENTRIES = frozenset(("certificate", "key", "password"))


def client_certificate() -> Combinable:
    """Carry the credential as a certificate of the client, in the handshake of TLS.

    ::

        auth        {certificate, key}----------{another, its key}--
        connection  ====== certificate 1 ======x
        handover()                      o====== certificate 2 ======

    Of a mapping, ``certificate`` and ``key`` are what is used, with ``password`` if the key is
    encrypted: each a path or a text in PEM. ``key`` may be left out if ``certificate`` holds it,
    too. A string is a path, or PEM, that holds both. Files are read again for each attempt, and TLS
    begins anew with each: a certificate that was exchanged is used by the next attempt, and
    ``set_auth`` with another value changes the connection as that of any credential does. Where the
    paths stay the same, ``reconnect()`` or ``max_age=`` makes that attempt; after a refusal, too,
    as the value that was refused is the same.

    Other carriers that it is combined with get the rest of the mapping, without these entries.

    It goes with ``wss://`` only. Settings of TLS are made for each attempt as well, so ``ssl=`` of
    the socket is a function that makes them, if it is not left out. Who the certificate is of is
    not read: a renewal of the same somebody is what ``identity=`` says (rule C14, identity), or
    ``refreshing()``.

    Examples:
        >>> Socket(
        ...     "wss://example.com/feed",
        ...     auth={"certificate": "client.pem", "key": "client.key"},
        ...     carrier=client_certificate(),
        ...     ssl=lambda: ssl.create_default_context(cafile="authority.pem"),
        ... )
        >>> Socket(url, auth={**files, "token": "abc"}, carrier=client_certificate() & header())
    """

    def carry(value: CredentialValue) -> Carried:
        if isinstance(value, str):
            return Carried(certificate=ClientCertificate(value, entries=("auth", "auth")))
        for name in value:
            if name not in ENTRIES:
                raise ValueError(
                    f"auth[{name!r}]: is no part of a certificate; say where it goes, as in "
                    f"client_certificate() & query(only={name!r})"
                )
        if value.get("certificate") is None:
            raise ValueError("auth: pass 'certificate', a path or PEM, and 'key' likewise")
        texts = {name: _text(name, value.get(name)) for name in sorted(ENTRIES)}
        return Carried(
            certificate=ClientCertificate(
                texts["certificate"] or "",
                texts["key"],
                texts["password"],
                entries=("auth['certificate']", "auth['key']"),
            )
        )

    return Combinable(
        carry, "client_certificate()", sets=("certificate",), owns=ENTRIES, way="certificate"
    )


def _text(name: str, entry: Any) -> str | None:
    if entry is not None and not isinstance(entry, str):
        what = "a text" if name == "password" else "a path, or a text in PEM"
        raise TypeError(f"auth[{name!r}]: pass {what}, not {type(entry).__name__}")
    return entry
