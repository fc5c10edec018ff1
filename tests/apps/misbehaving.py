"""As curves.py, but trial number `at` (or every trial: at=-1) ends in the way that `how` names."""

import os
import signal
import sys
import time

import hydra
from curves import loss, note
from hydra.core.hydra_config import HydraConfig

import trivet


def hang_in_c():
    """Wait in one C call that nothing in this process can end."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
    read, _ = os.pipe()
    os.read(read, 1)


def hang_in_python():
    while True:
        time.sleep(0.01)


def swallow_everything():
    while True:
        try:
            time.sleep(0.01)
        except BaseException:
            continue


def raise_it(error):
    raise error


WAYS = {
    "raise": lambda: raise_it(RuntimeError("first line\nsecond line")),
    "none": lambda: None,
    "not_a_number": lambda: float("nan"),
    "infinite": lambda: float("inf"),
    "string": lambda: "good",
    "list": lambda: [1.0, 2.0],
    "exit": lambda: sys.exit(3),
    "memory": lambda: raise_it(MemoryError()),
    "diverged": lambda: raise_it(trivet.Diverged("the loss is nan at step 2")),
    "pruned": lambda: raise_it(trivet.TrialPruned("enough")),
    "os_exit": lambda: os._exit(7),
    "sigkill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "hang": hang_in_python,
    "hang_in_c": hang_in_c,
    "hang_swallowing": swallow_everything,
}


@hydra.main(version_base=None, config_path="conf", config_name="config")
def main(cfg):
    note("begin 0")
    trivet.report(loss(cfg, 1), 1)
    if cfg.how == "garbage":
        print("\x00\xff\n{}[]error: \r\x1b[2J" * 50)
        os.write(1, b"\xff\xfe\x00 not text\n")
        os.write(2, b"\xff\xfe\x00 not text\n")
    elif cfg.how is not None and cfg.at in (-1, HydraConfig.get().job.num):
        return WAYS[cfg.how]()
    return loss(cfg, 1)


if __name__ == "__main__":
    main()
