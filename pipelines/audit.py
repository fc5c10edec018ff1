"""Was pruning right? Train a sample of a search's pruned trials to the end.

python pipelines/audit.py results/coarse --n 8        # then: dvc repro report
"""

import sys

from trivet.errors import exit_code
from trivet.phases import audit

if __name__ == "__main__":
    sys.exit(exit_code(audit.main))
