"""The report of the pipeline: reads results/, writes reports/.

python pipelines/report.py
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))  # the code of this checkout, wherever another one is installed

from trivet.errors import UserError  # noqa: E402  (the path above comes first)
from trivet.report import build_pipeline  # noqa: E402


def main() -> int:
    try:
        page = build_pipeline(ROOT, ROOT / "reports")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"report: {page.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
