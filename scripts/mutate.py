"""Change the code of a package at random places, one at a time, and see whether a test notices: the share of changes that one does.

python scripts/mutate.py diagnosis                      # 50 changes, drawn with seed 0
python scripts/mutate.py space --sample 60 --seed 1
python scripts/mutate.py diagnosis --sample 0           # every change: hours
python scripts/mutate.py diagnosis --only seeds.py

mutmut makes the changes; those that nobody could notice are left out (scripts/changes.py). A change is tried on a copy of the repository,
build/mutate, by the tests of the package that reach its line, the quick ones first, until one fails: in a fork of this process, which has
the libraries loaded already. Which test reaches what is measured once, and kept for as long as neither code nor that test's file changes.
"""

import argparse
import difflib
import math
import os
import random
import signal
import sys
import time
import tomllib
from pathlib import Path

import changes
import reaching

ROOT = Path(__file__).resolve().parent.parent


def packages() -> dict[str, dict[str, list[str]]]:
    """name -> {code: patterns of files, tests: test files}: pyproject.toml's table of them."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["trivet"]["mutate"]


def interval(part: int, whole: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share (Wilson 1927)."""
    z, share = 1.96, part / whole
    middle = (share + z * z / (2 * whole)) / (1 + z * z / whole)
    half = z / (1 + z * z / whole) * math.sqrt(share * (1 - share) / whole + z * z / (4 * whole * whole))
    return middle - half, middle + half


def told(name: str, verdicts: dict[str, str], of: int, seed: int) -> str:
    killed = sum(verdict in reaching.NOTICED for verdict in verdicts.values())
    low, high = interval(killed, len(verdicts))
    drawn = f"{len(verdicts)} of {of} changes, drawn with seed {seed}" if len(verdicts) < of else f"all {of} changes"
    share = f"{100 * killed / len(verdicts):.0f} % (95 % interval {100 * low:.0f} to {100 * high:.0f} %)"
    return f"{name}: {killed} of {len(verdicts)} were noticed, {share}; {drawn}"


def shown(change: changes.Change) -> str:
    """The lines that a change changes, before and after."""
    lines = difflib.unified_diff(change.before.splitlines(), change.after().splitlines(), lineterm="", n=0)
    return "\n".join("    " + line for line in lines if not line.startswith(("---", "+++", "@@")))


def main(arguments: list[str] | None = None) -> int:
    known = packages()
    parser = argparse.ArgumentParser(prog="mutate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", choices=sorted(known))
    parser.add_argument("--sample", type=int, default=50, help="how many changes; 0: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="of the names of changes, path:line: a part that they must have")
    options = parser.parse_args(arguments)
    package = known[options.package]
    every = [change for change in changes.of(ROOT, package["code"]) if options.only in change.name]
    drawn = random.Random(options.seed).sample(every, options.sample) if 0 < options.sample < len(every) else every
    began = time.perf_counter()
    tests = reaching.Tests(ROOT, package["code"], package["tests"])
    print(f"{len(tests.reach)} tests read in {time.perf_counter() - began:.0f} s", flush=True)
    verdicts = {}
    for change in sorted(drawn, key=lambda change: change.name):
        verdicts[change.name] = tests.verdict(change)
        if verdicts[change.name] not in reaching.NOTICED:
            print(f"{change.name}: {verdicts[change.name]}\n{shown(change)}", flush=True)
    print(told(options.package, verdicts, len(every), options.seed), f"in {time.perf_counter() - began:.0f} s")
    return 0


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
