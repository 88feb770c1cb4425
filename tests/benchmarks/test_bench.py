"""The bench runs, and its rough order holds; its figures are for a quiet machine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("msgspec")

BENCH = Path(__file__).with_name("bench.py")
ROOT = BENCH.parents[2]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("only", "floods"),
    [
        pytest.param("raw 64 B", 1, id="one"),
        pytest.param("", 6, id="all", marks=pytest.mark.timeout(150)),
    ],
)
def test_quick(tmp_path: Path, only: str, floods: int) -> None:
    """A quick run measures everything; a raw 64 B message costs less than half of the bare loop."""
    file = tmp_path / "bench.json"
    command = [sys.executable, str(BENCH), "--quick", "--json", str(file), "--only", only]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=140)
    assert done.returncode == 0, done.stderr
    assert "flood raw 64 B" in done.stdout
    rows = json.loads(file.read_text())["rows"]
    assert all(row["cpu"] or row["wall"] for row in rows)
    least = {(row["workload"], row["contestant"]): row["cpu_least"] for row in rows}
    assert least["flood raw 64 B", "rxsocket"] < 0.5 * least["flood raw 64 B", "websockets"]
    alone = {row["workload"]: row["server_alone"] for row in rows if row["server_alone"]}
    assert len(alone) == floods


@pytest.mark.slow
@pytest.mark.timeout(150)
def test_a_change_of_credential_is_no_slower_than_by_hand() -> None:
    """C5: at most 1.15 times a close and a connect by hand, in one of five short runs at least."""
    ratios: list[float] = []
    for _ in range(5):
        ratios.append(_ratio_of_changes())
        if ratios[-1] <= 1.15:
            return
    raise AssertionError(f"medians of 60 changes beside those by hand: {ratios}")


def _ratio_of_changes() -> float:
    command = [sys.executable, str(BENCH.with_name("change_of_credential.py")), "60"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=55)
    assert done.returncode == 0, done.stderr
    return float(done.stdout.split()[-1])
