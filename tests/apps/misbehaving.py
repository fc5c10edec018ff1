"""As curves.py, but trial number `at` (or every trial: at=-1) ends in the way that `how` names."""

import errno
import faulthandler
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time

import hydra
from curves import loss, note
from hydra.core.hydra_config import HydraConfig
from omegaconf import ListConfig

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


def leave_a_thread():
    threading.Thread(target=hang_in_python, name="left").start()
    return 0.5


def leave_processes():
    """A process in a session of its own, and a fork that holds whatever this process holds."""
    subprocess.Popen(["sleep", "1000"], start_new_session=True)
    multiprocessing.get_context("fork").Process(target=time.sleep, args=(1000,)).start()
    return 0.5


def hang_beside_a_pool():
    with multiprocessing.get_context("fork").Pool(2):
        leave_processes()
        hang_in_c()


def speak_and_die():
    for _ in range(64):
        os.write(1, b"x" * 2**20)
    os._exit(2)


def report_a_step_named_metric():
    trivet.report(0.4, 2, {"step": 5, "a\ud800\n": 1})
    return 0.5


def print_garbage():
    print("\x00\xff\n{}[]error: \r\x1b[2J" * 50)
    os.write(1, b"\xff\xfe\x00 not text\n")
    os.write(2, b"\xff\xfe\x00 not text\n")
    return 0.5


class Mute(Exception):
    def __str__(self):
        raise RuntimeError


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
    "os_exit_0": lambda: os._exit(0),
    "segfault": faulthandler._sigsegv,
    "thread": leave_a_thread,
    "processes": leave_processes,
    "pool": hang_beside_a_pool,
    "loud": speak_and_die,
    "huge": lambda: 10**400,
    "interrupt": lambda: raise_it(KeyboardInterrupt()),
    "mute": lambda: raise_it(Mute()),
    "metric": report_a_step_named_metric,
    "full": lambda: raise_it(OSError(errno.ENOSPC, "No space left on device", "/proc/self/x")),
    "garbage": print_garbage,
    "fine": lambda: 0.5,
    "hang": hang_in_python,
    "hang_in_c": hang_in_c,
    "hang_swallowing": swallow_everything,
}


@hydra.main(version_base=None, config_path="conf", config_name="config")
def main(cfg):
    note("begin 0")
    trivet.report(loss(cfg, 1), 1)
    if isinstance(cfg.how, str) and cfg.at in (-1, HydraConfig.get().job.num):
        return WAYS[cfg.how]()
    if isinstance(cfg.how, ListConfig):  # a way for each trial
        return WAYS[cfg.how[HydraConfig.get().job.num]]()
    return loss(cfg, 1)


if __name__ == "__main__":
    main()
