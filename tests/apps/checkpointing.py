"""As curves.py, but a trial that is begun again goes on where its checkpoint stands, and a sum over its steps would show if it did not."""

import json
import os
import random
import time
from pathlib import Path

import hydra
from curves import loss, meet, note
from hydra.core.hydra_config import HydraConfig

import trivet


@hydra.main(version_base=None, config_path="conf", config_name="config")
def main(cfg):
    checkpoint = Path(HydraConfig.get().runtime.output_dir) / "checkpoint.json"
    done, total = json.loads(checkpoint.read_text()) if checkpoint.exists() else (0, 0.0)
    note(f"begin {done}")
    meet(cfg)
    for step in range(done + 1, cfg.steps + 1):
        time.sleep(random.random() * cfg.pace)
        total += loss(cfg, step)
        note(f"step {step}")
        trivet.report(total / step, step, {"train/loss": total})
        checkpoint.with_suffix(".new").write_text(json.dumps([step, total]))
        os.replace(checkpoint.with_suffix(".new"), checkpoint)
    note("end")
    return total / cfg.steps


if __name__ == "__main__":
    main()
