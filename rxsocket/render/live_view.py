"""How a view is shown: live in a front end that can, and as what is saved everywhere else."""

from __future__ import annotations

import os
import sys
import uuid
import weakref
from collections.abc import Callable
from typing import Any
from weakref import WeakSet

from rxsocket.render.stored import StoredOutput
from rxsocket.render.view import View

WIDGET = "application/vnd.jupyter.widget-view+json"
ALTERNATIVES = {"image/svg+xml", "image/png"}
"""Pictures that need words for those who do not see them."""


class Frozen:
    """A view as it was at one moment. Made by ``freeze()``; it never changes."""

    def __init__(self, static: dict[str, Any], title: str) -> None:
        self._static, self._title = static, title

    def __repr__(self) -> str:
        return str(self._static["text/plain"])

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return dict(self._static), _alternatives(self._static, self._title)


class LiveView(View):
    """A view that a notebook shows: live, and saved as it was last seen."""

    _widget: Any = None
    _stored: StoredOutput | None = None

    @property
    def widget(self) -> Any:
        """Its widget, an ``anywidget.AnyWidget``, for layouts of other libraries.

        It is live wherever those are. There is one for each view.

        Raises:
            ModuleNotFoundError: Without ``rxsocket[notebook]``.
        """
        try:
            from rxsocket.render.live import loop_of_front_end
        except ImportError:
            raise ModuleNotFoundError(
                "widget: it needs anywidget; run pip install 'rxsocket[notebook]'"
            ) from None
        if self._widget is None:
            itself = weakref.ref(self)

            def with_stored(function: Callable[[StoredOutput], None]) -> None:
                view = itself()
                if view is not None and view._stored is not None:
                    function(view._stored)

            def on_hold(held: bool) -> None:
                with_stored(lambda stored: stored.hold(held))

            self._widget = self._widget_class()(
                self,
                loop_of_front_end(),
                on_change=lambda: with_stored(StoredOutput.on_change),
                on_rest=lambda: with_stored(StoredOutput.store_soon),
                on_hold=on_hold,
            )
        else:
            self._widget.throttle.start()
        return self._widget

    def freeze(self) -> Frozen:
        """It as it is now, to be kept: as the last line of a cell it is a picture that stays."""
        return Frozen(self.static(), self.title)

    def bundle(self) -> dict[str, Any]:
        """It in each form that it can be shown in, by MIME type."""
        shell = _kernel_shell()
        live, _metadata = self._live() if shell is not None and _is_live(shell) else ({}, {})
        return self.static() | live

    def display(self) -> None:
        """Show it in a kernel, with a display id by which what is saved is kept up to date.

        Raises:
            NotImplementedError: Elsewhere.
        """
        shell = _kernel_shell()
        if shell is None:
            raise NotImplementedError  # IPython shows the MIME bundle instead
        static = self.static()
        live, extra = self._live() if _is_live(shell) else ({}, {})
        name = uuid.uuid4().hex
        shown: dict[str, Any] = {"transient": {"display_id": name}}
        title = self.title

        def publish(newer: dict[str, Any]) -> None:
            metadata = _alternatives(newer, title) | extra
            shell.display_pub.publish(newer | live, metadata, update=True, **shown)

        metadata = _alternatives(static, title) | extra
        shell.display_pub.publish(static | live, metadata, **shown)
        self._stored = StoredOutput(_static_of(weakref.ref(self), static), publish, static)
        if not live:
            _at_end_of_cell(shell, self._stored)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return self.bundle()

    def _ipython_display_(self) -> None:
        self.display()

    def _display_(self) -> Any:
        """What marimo shows."""
        return self.widget

    def _widget_class(self) -> Callable[..., Any]:
        """The class of its widget; it is imported when it is asked for."""
        from rxsocket.render.live import LiveWidget

        return LiveWidget

    def _live(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The part of a MIME bundle that shows it live, and its metadata, as Colab needs it.

        Both are empty without what that needs.
        """
        try:
            bundle: Any = self.widget._repr_mimebundle_()
        except ModuleNotFoundError:
            return {}, {}
        data, metadata = bundle
        return {WIDGET: data[WIDGET]}, metadata


def _static_of(
    reference: weakref.ref[LiveView], last: dict[str, Any]
) -> Callable[[], dict[str, Any]]:
    def static() -> dict[str, Any]:
        view = reference()
        return last if view is None else view.static()

    return static


def _alternatives(static: dict[str, Any], title: str) -> dict[str, Any]:
    """The metadata of pictures: what they are, in words."""
    text = str(static.get("text/plain", "")).partition("\n")[0].strip("<>") or title
    return {name: {"alt": text} for name in static if name in ALTERNATIVES}


# --- the kernel


def _kernel_shell() -> Any:
    """The shell of the IPython kernel that this process is; ``None`` elsewhere."""
    get_shell: Any = getattr(sys.modules.get("IPython"), "get_ipython", None)
    shell = get_shell() if get_shell is not None else None
    return shell if getattr(shell, "kernel", None) is not None else None


def _is_live(shell: Any) -> bool:
    """Whether somebody can look at a live picture.

    A program that runs a notebook takes no input and shows no widget: what it saves would be a
    widget without a kernel. Voila, which shows them, says who it is.
    """
    parent: Any = shell.get_parent() if hasattr(shell, "get_parent") else {}
    takes_input = parent.get("content", {}).get("allow_stdin", True)
    return bool(takes_input) or os.environ.get("SERVER_SOFTWARE", "").startswith("voila")


_followed: WeakSet[Any] = WeakSet()
_saved: WeakSet[StoredOutput] = WeakSet()


def _at_end_of_cell(shell: Any, stored: StoredOutput) -> None:
    """Save it at the end of each cell: whoever runs a notebook waits for nothing else."""
    _saved.add(stored)
    if shell not in _followed:
        _followed.add(shell)
        shell.events.register("post_run_cell", _save_all)


def _save_all(_result: object) -> None:
    for stored in tuple(_saved):
        stored.store_at_end_of_cell()
