"""From bins of time to the columns of a plot."""

from __future__ import annotations

import pytest

from rxsocket.render.scene import Density
from rxsocket.render.svg import columns, moments


def test_a_wide_bin_is_spread_over_its_columns() -> None:
    """10 things in 2 s are 5 a second in each of the columns that show them."""
    assert columns(Density(((1.0, 2.0, 10),)), 0.0, 4.0, 4) == pytest.approx([0, 5, 5, 0])


def test_the_first_bin_after_a_pause_has_the_colour_of_what_came() -> None:
    """It began before the connection did; a column in the middle of others goes by its own time."""
    density = Density(((0.0, 1.0, 4), (1.0, 1.0, 4), (5.0, 1.0, 4), (6.0, 1.0, 4)))
    found = moments(density, 0.0, 8.0, 8)
    assert found == pytest.approx([1.0, 1.5, 2.5, 3.5, 4.5, 6.0, 6.5, 7.5])
