"""Is the search worth starting? Lints its space, tries the ends of every range, tests the learning rate, estimates the time.

python pipelines/check.py model=mlp hparams=search epochs=10      # any search; the same overrides as src/train.py -m
"""

import sys
from pathlib import Path

from trivet.errors import exit_code
from trivet.phases import check


def trainer(config: dict, root: Path) -> check.Trainer:
    from trivet.adapters import attempt  # here, so that the stage fixes the threads before torch reads them

    return attempt.Trainer(config, root)


if __name__ == "__main__":
    sys.exit(exit_code(lambda: check.main(sys.argv[1:], trainer)))
