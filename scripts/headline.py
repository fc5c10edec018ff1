"""Print where the report of the last pipeline run is, and its headline figures, from reports/metrics.json.

python scripts/headline.py
"""

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def spread(mean: float, std: float | None) -> str:
    """`0.9512 ± 0.0031`, or the mean alone where one run has no spread."""
    return f"{mean:.4f}" if std is None else f"{mean:.4f} ± {std:.4f}"


def headline(metrics: dict) -> list[str]:
    """The lines to print: best of each search, the winner over its seeds, and the test figures beside the default's."""
    seeds, test, cost = metrics["seeds"], metrics["test"], metrics["cost"]
    return [
        f"coarse  best of {metrics['coarse']['n_trials']} trials: {metrics['coarse']['best']:.4f}",
        f"fine    best of {metrics['fine']['n_trials']} trials: {metrics['fine']['best']:.4f}",
        f"seeds   winner: {spread(seeds['mean'], seeds['std'])} over {seeds['n']} seeds",
        f"test    winner: {spread(test['mean'], test['std'])}, ensemble: {test['ensemble']:.4f}, "
        f"default: {spread(test['baseline_mean'], test['baseline_std'])}",
        f"cost    {cost['epochs']:,} epochs ({cost['epochs_unpruned']:,} without pruning), {cost['seconds']:,.0f} s",
    ]


def main() -> None:
    metrics = json.loads((ROOT / "reports/metrics.json").read_text())
    print("\n".join(headline(metrics)))
    print(f"report  {ROOT / 'reports/summary.md'}, {ROOT / 'reports/report.html'}")


if __name__ == "__main__":
    main()
