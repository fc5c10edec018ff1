"""Published tables -> a report for people: Markdown with figures, one HTML file, and metrics.

python pipelines/report.py                  # the pipeline's: reports/
python -m trivet report <sweep folder>      # a single sweep's
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType


def build_pipeline(root: Path, reports: Path) -> Path:
    """See report/build.py. Imported late: pandas, matplotlib and scikit-learn are needed only here."""
    from trivet.report import build

    return build.build_pipeline(Path(root), Path(reports))


def build_sweep(folder: Path, out: Path | None = None) -> Path:
    """See report/build.py."""
    from trivet.report import build

    return build.build_sweep(Path(folder), out)


class _Report(ModuleType):
    """Importing this package hides the function trivet.report(value, step) behind a module of that name: so the module is callable."""

    def __call__(self, value: float, step: int, metrics: dict[str, float] | None = None) -> None:
        from trivet import trial

        trial.report(value, step, metrics)


sys.modules[__name__].__class__ = _Report
