"""What time it was then: wall time in a socket to which a recording happens again.

::

    real time       10:00:00 ------- 10:00:01 ------- 10:00:02 -------
    speed=10        07:30:00 ------- 07:30:10 ------- 07:30:20 -------
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Then"]


class Then:
    """From real time to recorded time.

    It runs at the speed of the replay while that plays, and at its own pace before and afterwards.

    Args:
        began: When the recording began, as wall time.
        speed: Times that of the recording; ``None`` where nothing waits: it stands still between
            two entries.
        now: Tells the real time.
    """

    def __init__(self, began: float, speed: float | None, now: Callable[[], float]) -> None:
        self._now = now
        self._speed = 0.0 if speed is None else speed
        self._known = began, now(), 0.0  # read and replaced whole: whoever asks may be elsewhere

    def __call__(self) -> float:
        """The recorded time."""
        at, since, speed = self._known
        return at + max(0.0, self._now() - since) * speed

    def told(self, at: float) -> None:
        """What was recorded at ``at`` is told now."""
        self._known = at, self._now(), self._speed

    def over(self) -> None:
        """Nothing more is told."""
        self._known = self(), self._now(), 1.0
