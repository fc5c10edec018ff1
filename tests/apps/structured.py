"""An app whose config is dataclasses of its own script, with an enum and a callback (noting.py), and no YAML at all.

python structured.py -m hydra/sweeper=trivet width=1,2,3
"""

import os
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig


class Kind(Enum):
    ROUND = 1
    SQUARE = 2


@dataclass
class Optimizer:
    lr: float = 0.1


@dataclass
class Config:
    optimizer: Optimizer = field(default_factory=Optimizer)
    width: int = 2
    kind: Kind = Kind.ROUND
    defaults: list[Any] = field(default_factory=lambda: ["_self_"])
    hydra: Any = field(default_factory=lambda: {"callbacks": {"note": {"_target_": "noting.Note"}}})


ConfigStore.instance().store(name="config", node=Config)


@hydra.main(version_base=None, config_path=None, config_name="config")
def main(cfg):
    assert isinstance(cfg.kind, Kind)
    job = HydraConfig.get().job
    (Path(HydraConfig.get().runtime.output_dir) / "job.txt").write_text(f"{job.num} {job.id} {os.getpid()} {os.getppid()}")
    return abs(cfg.width - 3) + abs(cfg.optimizer.lr - 0.01) + (cfg.kind is Kind.SQUARE)


if __name__ == "__main__":
    main()
