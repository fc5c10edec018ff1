"""The report of the pipeline: reads results/, writes reports/.

python pipelines/report.py
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))  # the code of this checkout, wherever another one is installed

from trivet.errors import exit_code  # noqa: E402  (the path above comes first)
from trivet.reporting.build import build_pipeline  # noqa: E402


def main() -> None:
    page = build_pipeline(ROOT, ROOT / "reports")
    print(f"report: {page.relative_to(ROOT)}")


if __name__ == "__main__":
    sys.exit(exit_code(main))
