"""While a trial runs, its process looks like a run of the app by itself with the trial's overrides.

Launchers that re-run the command line for their further processes (Lightning's DDP) so start ranks of the trial, not sweeps: the same
configuration, the same folder, the same number. What such a training leaves in the environment ends with it.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, read_write

from trivet import ranks, space
from trivet.reports import TrialPruned
from trivet.study.invocation import Invocation
from trivet.sweep import tree

LAUNCH = (
    *("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"),
    *("PL_GLOBAL_SEED", "PL_SEED_WORKERS"),  # Lightning's seed, which the next trial must not find
)
"""What trainers set for the run that they are in: the next trial would take itself for a part of that one."""

END_SECONDS = 10.0
"""How long the further ranks of a training that is over may take to end."""


class SingleRun:
    """`several`: whether the last trial has trained in several processes."""

    def __init__(self, invocation: Invocation) -> None:
        self._invocation = invocation
        self.several = False

    @contextlib.contextmanager
    def of(self, full: DictConfig) -> Iterator[None]:
        """For the time of the running job whose config this is, `hydra` in it."""
        argv, before = list(sys.argv), {name: os.environ.get(name) for name in LAUNCH}
        sys.argv[1:] = [*self._invocation.flags, *overrides(full)]
        with read_write(full.hydra):
            full.hydra.run.dir = full.hydra.runtime.output_dir  # what Lightning hands to its ranks
        if before["MASTER_ADDR"] in (None, ranks.HERE, "localhost"):  # else it is one training on several machines
            os.environ.update(ranks.meeting_point())
        try:
            try:
                yield
            except TrialPruned:
                _await_ranks()
                raise
            _await_ranks()
        finally:
            launched = any(os.environ.get(name) != before[name] for name in ("LOCAL_RANK", "WORLD_SIZE"))
            self.several = launched or _group() is not None
            sys.argv[:] = argv
            for name, value in before.items():
                os.environ.pop(name, None)
                os.environ.update({} if value is None else {name: value})


def overrides(full: DictConfig) -> list[str]:
    """What the command line of a run by itself says after the program, so that it is this trial."""
    given = OmegaConf.to_container(full.hydra.overrides, resolve=False)
    assert isinstance(given, dict)
    of_hydra = [text for text in given["hydra"] if not text.startswith("hydra.mode=")]
    number = full.hydra.job.num
    own = {
        "hydra.run.dir": str(full.hydra.runtime.output_dir),
        "hydra.sweep.dir": os.path.abspath(str(full.hydra.sweep.dir)),
        "hydra.job.num": number,
        "hydra.job.id": str(number),
    }
    return [*of_hydra, *given["task"], "hydra.mode=RUN", *(f"{key}={space.value_text(value)}" for key, value in own.items())]


def _await_ranks() -> None:
    """Let the further ranks of a training that is over end in order: they began with a LOCAL_RANK of their own."""
    end = time.monotonic() + END_SECONDS
    while any(_is_rank(pid) for pid, _ in tree.descendants()) and time.monotonic() < end:
        time.sleep(0.02)


def _is_rank(pid: int) -> bool:
    try:
        settings = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
    return any(setting.startswith(b"LOCAL_RANK=") and setting != b"LOCAL_RANK=0" for setting in settings)


def leave_group() -> None:
    """End this process's part in a torch.distributed group, as the other ranks are gone."""
    if (distributed := _group()) is not None:
        distributed.destroy_process_group()


def _group() -> Any:
    """torch.distributed, where this process is part of a group."""
    distributed = sys.modules.get("torch.distributed")
    return distributed if distributed is not None and distributed.is_available() and distributed.is_initialized() else None
