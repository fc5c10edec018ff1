"""The best distinct configurations of both searches and the default, each with the same fresh seeds.

python pipelines/finalists.py --seed 0 --seeds 3 --finalists 5
"""

import sys

from trivet.errors import exit_code
from trivet.phases import selection

if __name__ == "__main__":
    sys.exit(exit_code(selection.main))
