"""The headline figures of the last pipeline run, from reports/metrics.json.

python scripts/headline.py            # print them, and where the report is
python scripts/headline.py --write    # write reports/headline.json: the few columns of `dvc exp show`
"""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def spread(mean: float | None, std: float | None) -> str:
    """`0.9512 ± 0.0031`; the mean alone where one run has no spread."""
    if mean is None:
        return "unknown"
    return f"{mean:.4f}" if std is None else f"{mean:.4f} ± {std:.4f}"


def headline(metrics: dict) -> list[str]:
    """The lines to print: best of each search, the winner over its seeds, and the test figures beside the default's; of what has run."""
    lines = [
        f"{phase:7} best of {metrics[phase]['n_trials']} trials: {spread(metrics[phase]['best'], None)}"
        for phase in ("coarse", "fine")
        if phase in metrics
    ]
    if seeds := metrics.get("seeds"):
        lines.append(f"seeds   winner: {spread(seeds['mean'], seeds['std'])} over {seeds['n']} seeds")
    if test := metrics.get("test"):
        lines.append(
            f"test    winner: {spread(test['mean'], test['std'])}, ensemble: {spread(test['ensemble'], None)}, "
            f"default: {spread(test['baseline_mean'], test['baseline_std'])}"
        )
    cost = metrics["cost"]
    return [*lines, f"cost    {cost['epochs']:,} epochs ({cost['epochs_unpruned']:,} without pruning), {cost['seconds']:,.0f} s"]


def columns(metrics: dict) -> dict:
    """What tells runs apart at a glance: the winner over its seeds on validation and test data, the default's test figure, the cost.

    null where a stage has not run, or what it published belongs to another run.
    """
    seeds, test, cost = metrics.get("seeds") or {}, metrics.get("test") or {}, metrics["cost"]
    return {
        "val": seeds.get("mean"),
        "test": test.get("mean"),
        "test_std": test.get("std"),
        "ensemble": test.get("ensemble"),
        "default": test.get("baseline_mean"),
        "trained_epochs": cost["epochs"],
        "seconds": cost["seconds"],
    }


def main(arguments: Sequence[str], root: Path = ROOT) -> None:
    folder = root / "reports"
    metrics = json.loads((folder / "metrics.json").read_text())
    if "--write" in arguments:
        draft = folder / "headline.json.tmp"
        draft.write_text(json.dumps(columns(metrics), indent=2) + "\n")
        os.replace(draft, folder / "headline.json")
        return
    print("\n".join(headline(metrics)))
    print(f"report  {folder / 'summary.md'}, {folder / 'report.html'}")


if __name__ == "__main__":
    main(sys.argv[1:])
