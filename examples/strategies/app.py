"""A Hydra app that is searched with a sampler and a pruner of its own.

    python examples/strategies/app.py -m

The sampler is `nearby.py`, the pruner `projected.py`; conf/config.yaml names both.
"""

import hydra
from omegaconf import DictConfig

import trivet


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(config: DictConfig) -> float:
    """A loss that falls epoch by epoch towards a value which is smallest, 0, at x=2 and y=-1."""
    end = (config.x - 2) ** 2 + (config.y + 1) ** 2
    for epoch in range(1, config.epochs + 1):
        loss = end + 4 * 0.7**epoch
        trivet.report(loss, epoch)
    return loss


if __name__ == "__main__":
    main()
