"""How long a report of very many trials takes to build, and its page to open.

    python -m benchmarks.report                    # 10,000 trials with up to 30 epochs each; prints seconds and sizes
    python -m benchmarks.report --trials 1000

Building runs in a fresh process, imports included. Opening is measured in headless Chromium until the last chart is drawn (left out where
there is no Chromium). The limit is 10 seconds for building 10,000 trials.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests import browser, fake_results

ROOT = Path(__file__).resolve().parent.parent
BUILD = "import sys; from trivet.reporting.build import build_sweep; build_sweep(sys.argv[1], sys.argv[2])"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        trials, curves = fake_results.search(arguments.trials, fake_results.SPACE, prune=False, first=fake_results.DEFAULTS)
        fake_results.publish(folder / "sweep", trials, curves, fake_results.study("benchmark", fake_results.SPACE, trials))
        print(f"{len(trials):,} trials, {len(curves):,} rows of curves")
        for _ in range(arguments.repeat):
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", BUILD, str(folder / "sweep"), str(folder / "out")], check=True, cwd=ROOT / "src")
            print(f"build  {time.perf_counter() - start:6.1f} s")
        page = folder / "out" / "report.html"
        figures = sum(path.stat().st_size for path in (folder / "out" / "figures").iterdir())
        print(f"page   {page.stat().st_size / 1e6:6.1f} MB   figures {figures / 1e6:.1f} MB")
        if browser.BINARY is not None:
            with browser.Browser() as window:
                for width in (1400, 390):
                    start = time.perf_counter()
                    window.open(page, width)
                    print(f"open   {time.perf_counter() - start:6.1f} s at {width} pixels")


if __name__ == "__main__":
    main()
