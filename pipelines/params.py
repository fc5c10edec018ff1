"""Check params.yaml before its values reach a shell: the first command of each stage that is given one.

python pipelines/params.py
"""

import sys

from trivet.errors import exit_code
from trivet.phases import params

if __name__ == "__main__":
    sys.exit(exit_code(params.main))
