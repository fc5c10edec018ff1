"""The report of the pipeline: reads results/, writes reports/.

python pipelines/report.py
"""

import sys
from pathlib import Path

from trivet.errors import exit_code
from trivet.reporting.build import build_pipeline


def main() -> None:
    page = build_pipeline(Path(), Path("reports"))
    print(f"report: {page}")


if __name__ == "__main__":
    sys.exit(exit_code(main))
