"""A view in the forms that a notebook asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rxsocket.render.view import View

__all__ = ["bundle"]


def bundle(view: View, static: Mapping[str, Any]) -> dict[str, Any]:
    """A view in every form there is: for a live front end, for a saved notebook, as text."""
    try:
        from rxsocket.render.live import widget_bundle
    except ImportError:  # without rxsocket[notebook]
        return dict(static)
    return dict(static) | widget_bundle(view)
