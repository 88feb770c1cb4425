"""A view in the forms that a notebook asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rxsocket.render.view import View


def mimebundle(view: View, static: Mapping[str, Any]) -> dict[str, Any]:
    """A view for a live front end, and its static forms for a saved notebook and for text."""
    try:
        from rxsocket.render.live import widget_mimebundle
    except ImportError:  # without rxsocket[notebook]
        return dict(static)
    return dict(static) | widget_mimebundle(view)
