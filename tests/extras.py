"""Tests that need more than the library's core: they are skipped where it is not installed."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

__all__ = ["needs"]


def needs(*packages: str) -> pytest.MarkDecorator:
    """Skip unless all of these are installed.

    Unlike ``pytest.importorskip`` it imports none of them: each process that runs a part of the
    suite collects all of it, and these take seconds.
    """
    missing = [package for package in packages if find_spec(package) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")
