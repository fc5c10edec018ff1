"""The further processes of a trial: DDP's ranks, what `torchrun` or `torch.multiprocessing.spawn` starts, any program that reports.

A worker that runs a trial names in its environment where it listens (sweep/listening.py). A process below it that calls `trivet.report`
asks there: rank 0 reports for the trial, and every other rank hears what rank 0 heard of that step, so that all of them stop together.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trivet.errors import UserError

VARIABLE = "TRIVET_TRIAL"
"""Its value: port, key, and the trial's own folder, separated by spaces."""

HERE = "127.0.0.1"
_open: dict[tuple[int, str], Any] = {}  # by process and trial: a forked one must not share its parent's connection


def number() -> int:
    """The rank of this process among those of one training; 0 where it is the only one."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        return int(distributed.get_rank())
    for name in ("RANK", "NODE_RANK", "LOCAL_RANK"):  # torchrun's, and what launchers set that re-run a script
        value = os.environ.get(name, "")
        if value.isdigit() and (name == "RANK" or int(value)):
            return int(value)
    return 0


def folder() -> Path | None:
    """The own folder of the trial that this process belongs to; None outside a trial."""
    parts = os.environ.get(VARIABLE, "").split(" ", 2)
    return Path(parts[2]) if len(parts) == 3 else None


def ask(value: float, step: int, metrics: Mapping[str, float]) -> str | None:
    """Report to the trial above this process, or, in a rank above 0, wait for what rank 0 hears of this step. Outside a trial: nothing.

    Returns why the trial is pruned, None where it goes on. Raises `UserError` for what the study refuses.
    """
    given = os.environ.get(VARIABLE)
    if given is None:
        return None
    from multiprocessing.connection import Client  # every app imports trivet, and few need this

    port, key, _ = given.split(" ", 2)
    message = {"rank": number(), "value": value, "step": step, "metrics": dict(metrics)}
    try:
        if (os.getpid(), given) not in _open:
            _open[os.getpid(), given] = Client((HERE, int(port)), authkey=bytes.fromhex(key))
        line = _open[os.getpid(), given]
        line.send_bytes(json.dumps(message).encode())
        answer = json.loads(line.recv_bytes())
    except (OSError, EOFError):  # the trial is over, and this process outlives it
        return None
    if answer["error"] is not None:
        raise UserError(answer["error"])
    return answer["pruned"]


def meeting_point() -> dict[str, str]:
    """A free port for the processes of one training to meet at, so that two trainings on a machine do not."""
    with socket.socket() as free:
        free.bind((HERE, 0))
        return {"MASTER_ADDR": HERE, "MASTER_PORT": str(free.getsockname()[1])}


def refuse_launched() -> None:
    """`UserError` in a process that a launcher of ranks has started: each of them would start the same sweep."""
    size = os.environ.get("WORLD_SIZE", "")
    if size.isdigit() and int(size) > 1 and ("RANK" in os.environ or "LOCAL_RANK" in os.environ):
        raise UserError(
            f"WORLD_SIZE={size}: a sweep is one process, which starts its trials; start it without torchrun (or its kind), "
            "and let the app start the ranks of a trial"
        )
