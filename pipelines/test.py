"""The winner, the default and the ensembles on the test file, once; and the winner's model as an output of its own.

python pipelines/test.py
"""

import sys

from trivet.adapters.testing import Evaluator
from trivet.errors import exit_code
from trivet.phases import test

if __name__ == "__main__":
    sys.exit(exit_code(lambda: test.main(Evaluator)))
