"""A search without any library: reports a learning curve whose end is known, and counts its runs in its own folder.

    python curves.py -m hydra.sweeper.n_trials=10 hydra.sweeper.pruner=median

What it does to be continued is in checkpointing.py, what it does wrong in misbehaving.py.
"""

import math
import os
import random
import time
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig

import trivet


def loss(cfg, step):
    """Loss after `step`: falls to a floor that is 0 at the optimum, at a speed of its own, so that curves cross."""
    off = abs(math.log10(cfg.optimizer.lr) + 2)
    floor = (cfg.x - 0.3) ** 2 + 0.1 * off + 0.05 * abs(cfg.width - 3)
    floor += 0.1 if cfg.optimizer.name == "adam" else 0.1 * (0.9 - cfg.optimizer.momentum)
    return floor + (2 + off) * math.exp(-step / cfg.width)


def note(what):
    """Add a line to runs.log in the trial's folder."""
    with (Path(HydraConfig.get().runtime.output_dir) / "runs.log").open("a") as file:
        file.write(f"{what} {os.getpid()}\n")


def meet(cfg, seconds=60):
    """Wait until two processes have come to the folder `cfg.meet`: both are then in the table, however slow the machine is to start one."""
    if cfg.meet is None:
        return
    Path(cfg.meet, str(os.getpid())).touch()
    end = time.monotonic() + seconds
    while len(os.listdir(cfg.meet)) < 2:
        assert time.monotonic() < end, "no second worker came"
        time.sleep(0.01)


@hydra.main(version_base=None, config_path="conf", config_name="config")
def main(cfg):
    note("begin 0")
    meet(cfg)
    for step in range(1, cfg.steps + 1):
        time.sleep(random.random() * cfg.pace)
        trivet.report(loss(cfg, step), step, {"train/loss": loss(cfg, step) / 2, "lr": cfg.optimizer.lr, "seconds": time.time()})
    note("end")
    return loss(cfg, cfg.steps)


if __name__ == "__main__":
    main()
