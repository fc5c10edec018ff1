"""A stranger's Hydra app: its own model in a module beside it, its own loop, and nothing of trivet but `report`."""

import json
import random
from pathlib import Path

import hydra
from hydra.utils import instantiate

import trivet


@hydra.main(version_base="1.3", config_path="conf", config_name="main")
def main(cfg):
    rng = random.Random(cfg.seed)
    net = instantiate(cfg.model)
    folder = Path(cfg.paths.output_dir)
    for epoch in range(1, cfg.trainer.max_epochs + 1):
        accuracy = net.train(cfg.optimizer.lr, cfg.optimizer.momentum, rng)
        trivet.report(accuracy, epoch)
    (folder / "checkpoints").mkdir(exist_ok=True)
    (folder / "checkpoints/best.json").write_text(json.dumps({"seed": cfg.seed, "accuracy": accuracy}))
    return accuracy


if __name__ == "__main__":
    main()
