"""Kill sweeps at random moments, and compare their tables with one that nobody disturbed.

    python benchmarks/kills.py                        # 200 kills
    python benchmarks/kills.py --kills 20 --seed 3 --workers 4

Each kill is SIGKILL to the sweep's own process, to a worker, to both, or to all at once; then the same command continues. What must hold:
the same trials.csv up to the column `seconds`, the same curves.csv, each trial in a folder of its own, and no process that stays behind.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from trivet.sweep import keeper, tree

APP = """
import json, os, time
from pathlib import Path
import hydra
from hydra.core.hydra_config import HydraConfig
import trivet

@hydra.main(version_base="1.3", config_path=None)
def main(config):
    place = Path(HydraConfig.get().runtime.output_dir) / "checkpoint.json"
    done, total = json.loads(place.read_text()) if place.exists() else (0, 0.0)
    for step in range(done + 1, 9):
        time.sleep(float(os.environ["PACE"]))
        total += (config.x - 0.3) ** 2 + 1 / (step * (1 + config.y))
        trivet.report(total / step, step, {"train/loss": total})
        place.with_suffix(".new").write_text(json.dumps([step, total]))
        os.replace(place.with_suffix(".new"), place)
    return total / 8

if __name__ == "__main__":
    main()
"""
SETTINGS = ["+x=interval(0,1)", "+y=interval(0,1)", "hydra.sweeper.n_trials=24", "hydra.sweeper.pruner=median", "hydra.sweep.dir=sweep"]
# A kill between two steps is no fault of the trial: a worker alone may be hit there again and again.
SETTINGS += ["hydra.sweeper.lag=4", "hydra.sweeper.baseline=false", "hydra.sweeper.max_restarts=1000"]


def start(folder: Path, workers: int, pace: float) -> subprocess.Popen[bytes]:
    """The sweep in `folder`, begun or continued."""
    (folder / "app.py").write_text(APP)
    command = [sys.executable, "app.py", "-m", "hydra/sweeper=trivet", *SETTINGS, f"hydra.sweeper.n_jobs={workers}"]
    with (folder / "output.txt").open("ab") as output:
        return subprocess.Popen(command, cwd=folder, env=os.environ | {"PACE": str(pace)}, stdout=output, stderr=output)


def reproducible(path: Path) -> list[list[str]]:
    """A table's columns up to `seconds`."""
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    cut = rows[0].index("seconds") if "seconds" in rows[0] else len(rows[0])
    return [row[:cut] for row in rows]


def tables(folder: Path) -> list[list[list[str]]]:
    """What must be the same."""
    return [reproducible(folder / "sweep" / name) for name in ("trials.csv", "curves.csv")]


def disturbed(folder: Path, workers: int, rng: random.Random, most: int) -> int:
    """Run one sweep to its end with up to `most` kills on the way; returns how many there were."""
    n_kills = 0
    while True:
        running = start(folder, workers, 0.01)
        wait = rng.uniform(0.3, 6.0)
        try:
            code = running.wait(wait if n_kills < most else None)
        except subprocess.TimeoutExpired:
            below = [pid for pid, _ in tree.descendants(running.pid)]
            for pid in rng.choice([[running.pid], below[:1], [running.pid, *below[-1:]], [running.pid, *below]]):
                keeper.kill(pid)
            n_kills += 1
            if running.poll() is None and rng.random() < 0.5:
                running.send_signal(signal.SIGKILL)
            code = running.wait()
        if code == 0:
            return n_kills
        if code != -signal.SIGKILL:
            sys.exit(f"exit code {code}: {(folder / 'output.txt').read_text()[-2000:]}")


def left(folder: Path) -> list[int]:
    """Processes of the sweep that are still there a moment after its end."""
    end = time.monotonic() + 5
    while (found := [pid for pid, mark in keeper.environments() if f"@{folder}/sweep|".encode() in mark]) and time.monotonic() < end:
        time.sleep(0.05)
    return found


def main() -> None:
    """Compare as many sweeps as the kills take."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng, started, n_kills, n_sweeps = random.Random(arguments.seed), time.monotonic(), 0, 0
    with tempfile.TemporaryDirectory() as base:
        calm = Path(base, "calm")
        calm.mkdir()
        if start(calm, 1, 0.0).wait():
            sys.exit((calm / "output.txt").read_text())
        while n_kills < arguments.kills:
            folder = Path(base, str(n_sweeps))
            folder.mkdir()
            n_kills += disturbed(folder, arguments.workers, rng, min(10, arguments.kills - n_kills))
            n_sweeps += 1
            if tables(folder) != tables(calm):
                sys.exit(f"another table after {n_kills} kills (seed {arguments.seed}, sweep {n_sweeps})")
            if left(folder):
                sys.exit(f"processes that stay behind: {left(folder)}")
    print(f"{n_kills} kills in {n_sweeps} sweeps ({time.monotonic() - started:.0f} s): every table is the undisturbed one")


if __name__ == "__main__":
    main()
