"""From bins of time to the columns of a plot."""

from __future__ import annotations

import pytest

from rxsocket.render.histogram import Bin, column_rates, column_times


def test_a_wide_bin_is_spread_over_its_columns() -> None:
    """10 things in 2 s are 5 a second in each of the columns that show them."""
    assert column_rates([Bin(1.0, 2.0, 10)], 0.0, 4.0, 4) == pytest.approx([0, 5, 5, 0])


def test_the_first_bin_after_a_pause_has_the_colour_of_what_came() -> None:
    """It began before the connection did; a column in the middle of others goes by its own time."""
    bins = [Bin(start, 1.0, 4) for start in (0.0, 1.0, 5.0, 6.0)]
    found = column_times(bins, 0.0, 8.0, 8)
    assert found == pytest.approx([1.0, 1.5, 2.5, 3.5, 4.5, 6.0, 6.5, 7.5])
