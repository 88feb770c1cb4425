"""C47: a program with 50 sockets that is killed while it exchanges refresh tokens."""

from __future__ import annotations

from pathlib import Path

import pytest
from extras import needs
from oauth_crashes import rotate

# Of the default run, ``tests/unit/test_oauth_rotation.py`` crashes at each step, without processes.
pytestmark = [needs("authlib", "requests", "filelock"), pytest.mark.slow]


def test_killed_now_and_then(tmp_path: Path) -> None:
    """C47: never a used token presented twice; whoever has to log in is told so."""
    idp, program, _ = rotate(tmp_path, 8, 10, kill_every=3, grace=0.0)
    assert idp.reused == [] and sum(program.kills) >= 1
    assert program.logins <= sum(program.kills)


def test_killed_where_a_used_token_is_taken_again(tmp_path: Path) -> None:
    """C47: nobody has to log in."""
    idp, program, store = rotate(tmp_path, 8, 10, kill_every=3, grace=3600.0)
    assert idp.reused == [] and sum(program.kills) >= 1 and program.logins == 0
    assert store.load() is not None


@pytest.mark.timeout(600)
@pytest.mark.parametrize("grace", [0.0, 3600.0])
def test_rotations_by_fifty_sockets(tmp_path: Path, grace: float) -> None:
    """C47: a crash in every eight or so; ``tests/benchmarks/refresh_tokens.py`` has a thousand."""
    idp, program, _ = rotate(tmp_path, 40, 50, kill_every=8, grace=grace)
    assert idp.reused == []
    assert (program.logins == 0) or grace == 0.0
    assert program.logins <= sum(program.kills)
    assert sum(program.kills) >= 2
