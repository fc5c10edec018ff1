"""ablation: which of the changes from the default to the winner brought the gain?

    trivet ablation                        # of the seeds stage's winner; then: trivet report results (or dvc repro)
    trivet ablation sweeps/search-1a2b3c4d --seeds 3

Says what it will train and cost, then trains each change alone, the path from the default to the winner and the winner without each change,
with the seeds that chose the winner. The same command again continues it. Of the pipeline's winner it publishes results/ablation.
"""

import argparse
import subprocess
from collections.abc import Sequence
from pathlib import Path

from trivet.arguments import Parser
from trivet.errors import UserError
from trivet.phases import audit
from trivet.study import tables

SEEDS = Path("results/seeds")


def command(folder: Path, seeds: int, root: Path = Path()) -> list[str]:
    """The sweep that takes the winner of `folder` apart. Raises `UserError` where that is no finished sweep."""
    words = audit.command(tables.load_study(root / folder), root, "ablation")
    words = words if folder == SEEDS else [word for word in words if not word.startswith("hydra.sweeper.publish=")]
    return [*words, f"hydra.sweeper.sampler.of={folder.as_posix()}", f"hydra.sweeper.sampler.seeds={seeds}"]


def main(argv: Sequence[str] | None = None) -> int:
    """See the module."""
    parser = Parser(prog="trivet ablation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=SEEDS, help="a published seeds stage, or a search that is over")
    parser.add_argument("--seeds", type=int, default=1, help="runs of each configuration (default %(default)s)")
    given = parser.parse_args(argv)
    if given.seeds < 1:
        raise UserError(f"--seeds={given.seeds}: must be >= 1")
    return subprocess.run(command(given.folder, given.seeds), check=False).returncode
