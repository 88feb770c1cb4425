"""How tests judge what takes time: see ``deadlines.py``."""

from __future__ import annotations

from pathlib import Path

import pytest
from deadlines import AGAIN, TooSlow, took, within

LOAD = Path(__file__).resolve().parents[1] / "deadlines.py"


def test_what_takes_no_longer_than_it_may_passes() -> None:
    """Also at once."""
    took(0.99, 1.0)
    with within(5.0):
        pass


def test_what_takes_longer_is_told_with_its_seconds() -> None:
    """No machine is so busy that an hour passes for a second."""
    with pytest.raises(TooSlow, match=r"^3600\.000 s instead of 1 s; for a day$"):
        took(3600.0, 1.0, "for a day")


def test_what_takes_less_than_it_must_is_not_too_slow() -> None:
    """Another machine would not make it better."""
    with pytest.raises(AssertionError) as caught, within(5.0, least=1.0):
        pass
    assert not isinstance(caught.value, TooSlow)


SUITE = """
import pytest
from deadlines import AGAIN, TooSlow

pytestmark = pytest.mark.flaky(**AGAIN)
tries = {}

def again(name):
    tries[name] = tries.get(name, 0) + 1
    return tries[name]

def test_held_up_once():
    if again("once") < 2:
        raise TooSlow("3 s")

def test_always_slow():
    again("slow")
    raise TooSlow("3 s")

def test_wrong_once():
    assert again("wrong") > 1

def teardown_module():
    assert tries == {"once": 2, "slow": 3, "wrong": 1}
"""


def test_only_what_was_too_slow_is_repeated(pytester: pytest.Pytester) -> None:
    """A wrong result fails at once, slowness after three times."""
    pytester.makepyfile(test_suite=SUITE, load=LOAD.read_text())
    done = pytester.runpytest_inprocess("-p", "no:randomly", "-p", "no:xdist")
    done.assert_outcomes(passed=1, failed=2)


def test_tests_that_judge_time_are_repeated(request: pytest.FixtureRequest) -> None:
    """This module uses what judges time, as others do, so that its tests are marked.

    With ``--reruns`` none is: a mark would replace what that asks for.
    """
    marker = request.node.get_closest_marker("flaky")
    marked = None if marker is None else marker.kwargs
    assert marked == (None if request.config.getoption("reruns") else AGAIN)
