"""What a user of the command line got wrong."""

from __future__ import annotations

__all__ = ["UsageError"]


class UsageError(Exception):
    """One line that says what to do instead. It never quotes what may be a secret."""
