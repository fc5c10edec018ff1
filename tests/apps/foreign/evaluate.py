"""python evaluate.py <checkpoint> [<predictions.npz>]: prints the test accuracy last."""

import json
import random
import sys
from pathlib import Path

import numpy as np

model = json.loads(Path(sys.argv[1]).read_text())
rng, targets = random.Random(model["seed"]), np.arange(100) % 2
right = np.array([rng.random() < model["accuracy"] for _ in targets])
if len(sys.argv) > 2:
    chosen = np.where(right, targets, 1 - targets)
    np.savez(sys.argv[2], predictions=np.eye(2)[chosen] * 0.8 + 0.1, targets=targets)
print("evaluated")
print(json.dumps({"test/acc": float(right.mean()), "n": len(targets)}))
