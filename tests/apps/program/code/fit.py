"""Somebody's argparse script, in a folder of its own: it knows nothing of trivet and prints a progress bar, colours and its metric."""

import argparse
import json
import math
import random
import sys
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
parser.add_argument("--width", type=int, default=16)
parser.add_argument("--act", choices=["relu", "tanh"], default="relu")
parser.add_argument("--epochs", type=int, default=4)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--out", type=Path, required=True)
given = parser.parse_args()

rng = random.Random(given.seed)
top = 0.9 - 0.05 * abs(math.log10(given.lr) + 2) + 0.01 * math.log2(given.width) - 0.02 * (given.act == "tanh")
for epoch in range(1, given.epochs + 1):
    for part in range(3):
        sys.stdout.write(f"\repoch {epoch}/{given.epochs} {part * 50}%")
    accuracy = top * (1 - math.exp(-epoch)) + 0.002 * rng.random()
    print(f"\repoch {epoch}/{given.epochs}: \x1b[32mval_acc={accuracy:.6f}\x1b[0m loss={1 - accuracy:.6f}", flush=True)
(given.out / "model.json").write_text(json.dumps({"accuracy": accuracy}))
