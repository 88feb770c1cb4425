"""How the values of credentials are kept out of a recording (C28)."""

from __future__ import annotations

import json
from urllib.parse import quote_plus

from hypothesis import given
from hypothesis import strategies as st

from rxsocket import Credential, Message
from rxsocket.auth.masks import MOST, Mask
from rxsocket.recording.format import auth_seen, decode_entry, encode_entry

VALUES = st.text(min_size=4).filter(
    lambda text: (
        not set(text) & set("\r\n\0*")
        and text.isprintable()
        and text.strip() == text
        and text.lower() not in ("true", "false", "none", "null")
    )
)


@given(VALUES, st.text(), st.text())
def test_a_value_is_found_in_whatever_text(value: str, before: str, after: str) -> None:
    """As it is, percent-encoded, in JSON within JSON, and in bytes."""
    mask = Mask()
    mask.hide(Credential.of({"token": value}))
    texts = (value, quote_plus(value), json.dumps([value]), json.dumps([value], ensure_ascii=False))
    for text in texts:
        message = Message(at=0.0, epoch=1, data=f"{before}{text}{after}")
        assert mask.in_line(encode_entry(message))
        masked = decode_entry(encode_entry(message, mask))
        assert isinstance(masked, Message) and text not in masked.data
    assert value.encode() not in mask(value.encode() * 2)


def test_numbers_say_the_same_or_not() -> None:
    """Equal credentials have the same number; nothing else of them is kept."""
    known: dict[str, int] = {}
    numbers = [
        auth_seen(Credential.of(value), 0.0, known).credential
        for value in ({"token": "a"}, "a", {"token": "a"}, None, "b", "a")
    ]
    assert numbers == [1, 2, 1, 3, 4, 2]


def test_the_newest_values_are_remembered() -> None:
    """A socket that is renewed for months looks for a bounded number of values."""
    mask = Mask(Credential.of(f"token-{number:05}") for number in range(MOST + 9))
    mask.hide(Credential.of(f"token-{MOST + 9:05}"))
    assert mask("token-00000") == "token-00000"
    assert mask(f"token-{MOST + 9:05}") == "***"
