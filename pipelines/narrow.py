"""From the coarse table to the fine space, written as YAML for a person to read, diff and edit.

python pipelines/narrow.py results/coarse results/narrow
"""

import sys

from trivet.errors import exit_code
from trivet.phases import narrow

if __name__ == "__main__":
    sys.exit(exit_code(narrow.main))
