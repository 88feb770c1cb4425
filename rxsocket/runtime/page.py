"""The page that Python runs in, where that is a browser (C57).

On Emscripten, as Pyodide is built for it, there are no sockets and no threads; the loop is the
browser's own. JupyterLite, marimo and PyScript run Python so: in a page, or in a worker of one.
Node can do so, too.

::

    online, visible again, thawed, shown again     what waits dials at once, links are probed
    offline                                        links are probed
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

IN_BROWSER = sys.platform == "emscripten"

_OF_THE_GLOBAL = ("online", "offline", "pageshow")
_OF_THE_DOCUMENT = ("visibilitychange", "resume")


def is_in_browser() -> bool:
    """Whether the only way out is what a page has."""
    return IN_BROWSER


def javascript() -> Any:
    """The global names of JavaScript, through Pyodide."""
    return import_module("js")


def foreign_functions() -> Any:
    """What Pyodide has to pass objects to JavaScript and back."""
    return import_module("pyodide.ffi")


def is_offline() -> bool:
    """Whether the browser says so; that it does not is no promise."""
    navigator = getattr(javascript(), "navigator", None)
    return getattr(navigator, "onLine", None) is False


class PageEvents:
    """Listens to the life of the page, from its making until it is stopped.

    Args:
        changed: Called with whether the page is awake and online again; false when it went offline.
    """

    def __init__(self, changed: Callable[[bool], None]) -> None:
        self._changed = changed
        self._javascript = javascript()
        self._proxy: Any = foreign_functions().create_proxy(self._on_event)
        # A worker has no document; Node has neither.
        self._document: Any = getattr(self._javascript, "document", None)
        self._listening = [(self._javascript, name) for name in _OF_THE_GLOBAL]
        self._listening += [(self._document, name) for name in _OF_THE_DOCUMENT]
        for target, name in self._listening:
            if hasattr(target, "addEventListener"):
                target.addEventListener(name, self._proxy)

    def stop(self) -> None:
        for target, name in self._listening:
            if hasattr(target, "removeEventListener"):
                target.removeEventListener(name, self._proxy)
        self._listening = []
        self._proxy.destroy()

    def _on_event(self, event: Any) -> None:
        name: str = event.type
        if name == "visibilitychange" and self._document.visibilityState != "visible":
            return
        if name == "pageshow" and not event.persisted:
            return  # it was loaded, and not kept
        self._changed(name != "offline")
