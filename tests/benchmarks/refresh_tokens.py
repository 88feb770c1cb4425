"""What becomes of refresh tokens that 50 sockets of a program share, which is killed now and then.

    python tests/benchmarks/refresh_tokens.py [ROTATIONS [SOCKETS]]

Each refresh token is good for one use. The program is killed by SIGKILL in every twenty rotations
or so: between the rotation and the answer, or about when the answer is saved. ``grace`` is the
time in seconds for which a token that was used is taken again.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from oauth_crashes import rotate


def main(rotations: int = 1000, sockets: int = 50) -> None:
    """Print a table."""
    print("grace  rotations  killed before, after the answer  used twice  logins  seconds")
    for grace in (0.0, 3600.0):
        with tempfile.TemporaryDirectory() as folder:
            start = time.monotonic()
            idp, program, _ = rotate(Path(folder), rotations, sockets, kill_every=20, grace=grace)
            before, after = program.kills
            print(
                f"{grace:5.0f}  {idp.rotations:9}  {before:13}, {after:16}  "
                f"{len(idp.reused):10}  {program.logins:6}  {time.monotonic() - start:7.0f}"
            )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
