"""Optuna's dashboard over a study in PostgreSQL: its tables are trivet's own, so `optuna-dashboard <url>` would find nothing there.

python -m trivet.study.dashboard sweeps/search-1a2b3c4d --port 8080
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from trivet.arguments import Parser
from trivet.errors import UserError, exit_code
from trivet.study.storage import open_storage
from trivet.study.tables import load_study


def main() -> None:
    """Serve until it is interrupted. Raises `UserError` where the dashboard is not installed or the study is not there."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the sweep's folder, which the sweep printed")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    given = parser.parse_args()
    try:
        from optuna_dashboard import run_server
    except ModuleNotFoundError:
        raise UserError("the dashboard needs optuna-dashboard; install it with: pip install optuna-dashboard") from None
    meta = load_study(given.folder, ("storage", "name"))
    try:
        storage = open_storage(meta["storage"], given.folder, meta["name"], make=False)
    except KeyError:
        raise UserError(f"{meta['storage']}: holds no study {meta['name']}") from None
    run_server(storage, host=given.host, port=given.port)


if __name__ == "__main__":
    sys.exit(exit_code(main))
