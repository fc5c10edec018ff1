"""Remove caches, single runs and sweeps in progress, and keep what is the only copy of a result.

python scripts/clean.py          # keeps finished searches that were published nowhere, and runs that saved a model, and names them
python scripts/clean.py --all    # removes those, too

What git tracks stays, wherever it is, and no link is followed. `git clean` is no help: given a path or pattern inside an ignored folder it
removes the whole folder, data/ and results/ among them.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUNS = ("sweeps", "outputs", "multirun")
CACHES = ("build", ".pytest_cache", ".ruff_cache", ".mypy_cache", ".hypothesis")
NOT_SEARCHED = {".venv", ".git", ".dvc", "data", "results", *RUNS}  # for __pycache__, at the top
UNFINISHED = ("", "null", "interrupted")


def value(path: Path, key: str) -> str:
    """A plain value at the top of a YAML file, by its text, as no YAML reader need be installed; "" where there is none."""
    try:
        found = re.search(rf"^{key}: *['\"]?(.*?)['\"]? *$", path.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
    except OSError:
        return ""
    return found[1] if found else ""


def published(root: Path) -> set[str]:
    """The fingerprints of the searches whose tables stand under results/."""
    return {value(path, "fingerprint") for path in root.glob("results/**/study.yaml")} - {""}


def is_result(folder: Path, known: set[str]) -> str:
    """What makes this folder worth keeping, in a few words; "" for nothing."""
    study = folder / "study.yaml"
    if value(study, "stopped_by") not in UNFINISHED and value(study, "fingerprint") not in known:
        return "a finished search that is published nowhere"
    if not study.exists() and (folder / "optimization_results.yaml").exists():
        return "a finished search"
    return "a saved model" if (folder / "model.pt").exists() else ""


def results(root: Path, known: set[str]) -> Iterator[tuple[Path, str]]:
    """The folders under the runs' that hold a result; what is inside such a folder belongs to it. Links are not followed."""
    waiting = [root / name for name in RUNS]
    while waiting:
        folder = waiting.pop()
        if folder.is_symlink() or not folder.is_dir():
            continue
        why = is_result(folder, known)
        if why:
            yield folder, why
        else:
            waiting += folder.iterdir()


def tracked(root: Path) -> set[Path]:
    """The files that git tracks; none where this is no repository."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True)
    return {root / name for name in listed.stdout.split("\0") if name} if listed.returncode == 0 else set()


def removable(path: Path, kept: set[Path], around: set[Path]) -> Iterator[Path]:
    """The largest parts of `path` that hold nothing kept; around: the folders that what is kept lies in."""
    if path in kept:
        return
    if path not in around:
        yield path
        return
    for part in sorted(path.iterdir()):
        yield from removable(part, kept, around)


def remove(path: Path) -> None:
    """A file, a link (not what it leads to) or a folder."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
    else:
        shutil.rmtree(path)


def caches(root: Path) -> Iterator[Path]:
    """The caches that are there."""
    yield from (root / name for name in CACHES if (root / name).exists())
    yield from root.glob("src/*.egg-info")
    for top in root.iterdir():
        if top.is_dir() and not top.is_symlink() and top.name not in NOT_SEARCHED:
            yield from (path for path in top.rglob("__pycache__") if path.is_dir() and not path.is_symlink())


def clean(root: Path, everything: bool = False) -> list[str]:
    """Remove it; a line for each result that stays."""
    found = {} if everything else dict(results(root, published(root)))
    kept = tracked(root) | set(found)
    around = {parent for path in kept for parent in path.parents}
    runs = [root / name for name in RUNS if (root / name).is_dir() and not (root / name).is_symlink()]
    for path in [part for whole in [*caches(root), *runs] for part in removable(whole, kept, around)]:
        remove(path)
    return [f"kept {path.relative_to(root)}: {why}" for path, why in sorted(found.items())]


def main(arguments: Sequence[str]) -> int:
    if set(arguments) - {"--all"}:
        print(f"error: {' '.join(arguments)}: the only option is --all", file=sys.stderr)
        return 2
    lines = clean(ROOT, "--all" in arguments)
    print("\n".join([*lines, "`make clean ALL=1` removes these, too"] if lines else []), end="\n" if lines else "")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
