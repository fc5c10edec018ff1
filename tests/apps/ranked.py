"""An app that trains in two processes: `how=rerun` starts the second as Lightning does, this command line again under another LOCAL_RANK;
`how=fork` forks both, as torch.multiprocessing does, and waits for them."""

import multiprocessing
import os
import subprocess
import sys

import hydra
from hydra.core.hydra_config import HydraConfig

import trivet


def train(config, rank):
    folder, number = trivet.resume_dir(), HydraConfig.get().job.num
    with (folder / f"rank-{rank}.log").open("a") as log:
        print(config, number, folder, HydraConfig.get().runtime.output_dir, os.getcwd(), os.environ["MASTER_PORT"], file=log, flush=True)
        try:
            for step in range(1, 5 if config.x == 1 else 10**6):  # the poor one trains until it is pruned
                trivet.report(config.x * step if rank == 0 else -1.0, step)
        finally:
            print(step, file=log, flush=True)
    return config.x


def forked(config, rank):
    os.environ["RANK"] = str(rank)
    train(config, rank)


@hydra.main(version_base="1.3", config_path=None)
def main(config):
    if config.how == "fork":
        processes = [multiprocessing.get_context("fork").Process(target=forked, args=(config, rank)) for rank in range(2)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        assert [process.exitcode for process in processes] == [0, 0]
        return config.x
    if "LOCAL_RANK" not in os.environ:
        os.environ.update(LOCAL_RANK="0", WORLD_SIZE="2")
        run_dir = HydraConfig.get().run.dir
        again = [sys.executable, os.path.abspath(sys.argv[0]), *sys.argv[1:], f'hydra.run.dir="{run_dir}"', "hydra.output_subdir=null"]
        subprocess.Popen(again, env={**os.environ, "LOCAL_RANK": "1"})
    return train(config, int(os.environ["LOCAL_RANK"]))


if __name__ == "__main__":
    main()
