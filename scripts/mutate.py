"""Change the code of a package at random places, one at a time, and see whether a test notices: the share of changes that one does.

python scripts/mutate.py diagnosis                      # 50 changes, drawn with seed 0
python scripts/mutate.py space --sample 60 --seed 1 --show
python scripts/mutate.py diagnosis --sample 0           # every change: hours

mutmut makes the changes. Each package has its own tests here, those that concern it, as every change runs all of them that reach it. What
mutmut keeps, build/mutate/PACKAGE, is used again: only functions that were edited are changed anew.
"""

import argparse
import math
import os
import random
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINKED = ("src", "tests", "conf", "scripts", "pipelines", "benchmarks", "examples", "dvc.yaml", "params.yaml", "README.md", "Makefile")
KILLED = ("killed", "timeout")


def packages() -> dict[str, dict[str, list[str]]]:
    """name -> {code: patterns of files, tests: test files}: pyproject.toml's table of them."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["trivet"]["mutate"]


def workspace(name: str, package: dict[str, list[str]], fresh: bool) -> Path:
    """The folder in which mutmut works on a package: links to what there is, and its settings."""
    folder = ROOT / "build" / "mutate" / name
    if fresh:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    for part in LINKED:
        if not (folder / part).is_symlink():
            (folder / part).symlink_to(ROOT / part)
    for part in ("src", "tests"):  # mutmut copies src only where it is not there yet, and never takes a test away
        for stale in (folder / "mutants" / part).rglob("*"):
            if stale.is_file() and stale.suffix != ".meta" and not (ROOT / part / stale.relative_to(folder / "mutants" / part)).exists():
                stale.unlink()
    settings = {
        "source_paths": ["src"],
        "only_mutate": package["code"],
        "also_copy": [part for part in LINKED if part not in ("src", "tests")],
        "pytest_add_cli_args": ["-p", "no:cacheprovider", "-m", "not slow"],
        "pytest_add_cli_args_test_selection": package["tests"],
        "use_git_change_detection": False,
        "process_isolation": "forkserver",  # a test that leaves its process changed spoils no other run
    }
    pytest = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    (folder / "pyproject.toml").write_text(_toml("tool.pytest.ini_options", pytest) + _toml("tool.mutmut", settings))
    return folder


def _toml(table: str, values: dict) -> str:
    def text(value: object) -> str:
        return repr(value).lower() if isinstance(value, bool) else repr(value)  # strings and lists of them read alike in TOML

    return f"[{table}]\n" + "".join(f"{key} = {text(value)}\n" for key, value in values.items()) + "\n"


def changes(folder: Path, patterns: list[str]) -> list[str]:
    """Every change that mutmut would make, by its name, in order."""
    from mutmut.mutation.file_mutation import mutate_file_contents
    from mutmut.utils.format_utils import get_mutant_name

    found = []
    for path in sorted({path for pattern in patterns for path in ROOT.glob(pattern) if path.suffix == ".py"}):
        names = mutate_file_contents(str(path), path.read_text(), None, None).mutant_names
        found += [get_mutant_name(path.relative_to(ROOT), name) for name in names]
    return found


def mutmut(folder: Path, *arguments: str, quiet: bool = False) -> str:
    """What mutmut says; ends this process with its last lines where it fails."""
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE")}
    ended = subprocess.run(
        [sys.executable, "-c", "import sys; from mutmut.__main__ import cli; sys.argv[0] = 'mutmut'; cli()", *arguments],
        cwd=folder, env=environment | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    if ended.returncode and not quiet:
        raise SystemExit(ended.stdout[-4000:])
    return ended.stdout


def interval(part: int, whole: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share (Wilson 1927)."""
    z, share = 1.96, part / whole
    middle = (share + z * z / (2 * whole)) / (1 + z * z / whole)
    half = z / (1 + z * z / whole) * math.sqrt(share * (1 - share) / whole + z * z / (4 * whole * whole))
    return middle - half, middle + half


def told(name: str, verdicts: dict[str, str], of: int, seed: int) -> str:
    killed = sum(verdict in KILLED for verdict in verdicts.values())
    low, high = interval(killed, len(verdicts))
    drawn = f"{len(verdicts)} of {of} changes, drawn with seed {seed}" if len(verdicts) < of else f"all {of} changes"
    share = f"{100 * killed / len(verdicts):.0f} % (95 % interval {100 * low:.0f} to {100 * high:.0f} %)"
    return f"{name}: {killed} of {len(verdicts)} were noticed, {share}; {drawn}"


def main(arguments: list[str] | None = None) -> int:
    known = packages()
    parser = argparse.ArgumentParser(prog="mutate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", choices=sorted(known))
    parser.add_argument("--sample", type=int, default=50, help="how many changes; 0: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="of the names of changes: a part that they must have")
    parser.add_argument("--children", type=int, default=2, help="processes at a time")
    parser.add_argument("--show", action="store_true", help="print each change that no test noticed")
    parser.add_argument("--fresh", action="store_true", help="forget what was measured before")
    options = parser.parse_args(arguments)
    package = known[options.package]
    folder = workspace(options.package, package, options.fresh)
    every = [name for name in changes(folder, package["code"]) if options.only in name]
    drawn = sorted(random.Random(options.seed).sample(every, options.sample)) if 0 < options.sample < len(every) else every
    mutmut(folder, "run", "--max-children", str(options.children), *drawn)
    lines = (line.strip().rpartition(": ") for line in mutmut(folder, "results", "--all", "true").splitlines())
    verdicts = {name: verdict for name, _, verdict in lines if name in set(drawn)}
    for name, verdict in verdicts.items():
        if verdict not in KILLED:
            print(mutmut(folder, "show", name) if options.show else f"{name}: {verdict}")
    print(told(options.package, verdicts, len(every), options.seed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
