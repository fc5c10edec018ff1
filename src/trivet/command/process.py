"""Run a command for a trial: its output is read as it comes, and whatever it started ends with it."""

from __future__ import annotations

import codecs
import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from trivet.command.extraction import Extractor

CHUNK = 1 << 16  # bytes of output read at once
LOOK_SECONDS = 0.5  # how often silence is looked at
LOG = "output.log"


class CommandFailed(Exception):
    """A command's end that is no result; the message says why in a line, with the last line of its output."""


@dataclass(frozen=True)
class Limits:
    """`silence_seconds`: end a command that prints nothing for so long (None: never). `grace_seconds`: between SIGTERM and SIGKILL."""

    silence_seconds: float | None = None
    grace_seconds: float = 10.0


def run(
    arguments: Sequence[str],
    extractor: Extractor,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    limits: Limits | None = None,
) -> float:
    """Run a command in the present directory to its end and return the objective; its output goes to `folder/output.log` as well.

    What the extractor's `report` raises (a pruned trial) ends the command, with everything that it started, and is raised on; so does any
    signal that ends this process. `environment` is added to the present one. Raises `CommandFailed` for an exit code other than 0, a
    signal, silence, and a command that ended well without the objective.
    """
    limits = limits or Limits()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOG).open("ab") as log, _started(arguments, environment or {}, limits) as process:
        silent = _read(process, extractor, log, limits.silence_seconds)
        if silent:
            raise CommandFailed(_with_last(f"printed nothing for {limits.silence_seconds:g} s", extractor))
        status = process.wait()
    if status < 0:
        raise CommandFailed(_with_last(f"ended by {_signal(-status)}", extractor))
    if status != 0:
        raise CommandFailed(_with_last(f"exit code {status}", extractor))
    extractor.close(folder)
    if extractor.value is None:
        objective = extractor.definitions.objective
        what = f"{objective} never appeared" if extractor.definitions.metrics else "its last line is no number"
        raise CommandFailed(_with_last(what, extractor))
    return extractor.value


@contextlib.contextmanager
def _started(arguments: Sequence[str], environment: Mapping[str, str], limits: Limits) -> Iterator[subprocess.Popen[bytes]]:
    """The guard that runs the command; when the block ends before the command does, everything is ended."""
    reading, writing = os.pipe()
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "trivet.command.guard", str(reading), repr(limits.grace_seconds), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},  # a Python program's lines come when it prints them
            pass_fds=[reading],
            start_new_session=True,  # what ends this process's group must leave the guard time to end the command
        )
    except BaseException:
        os.close(writing)
        raise
    finally:
        os.close(reading)
    try:
        yield process
    finally:
        os.close(writing)
        assert process.stdout is not None
        process.stdout.close()
        process.wait()


def _read(process: subprocess.Popen[bytes], extractor: Extractor, log: IO[bytes], silence: float | None) -> bool:
    """Read output until it ends; True when there was none for too long."""
    assert process.stdout is not None
    decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
    heard = time.monotonic()
    while True:
        ready, _, _ = select.select([process.stdout], [], [], LOOK_SECONDS)
        if ready:
            data = os.read(process.stdout.fileno(), CHUNK)
            if not data:
                return False
            log.write(data)
            log.flush()
            extractor.feed(decode(data))
            heard = time.monotonic()
        elif silence is not None and time.monotonic() - heard > silence:
            return True
        elif process.poll() is not None:
            return False  # it is gone; a process that it left behind holds its output open


def _with_last(reason: str, extractor: Extractor) -> str:
    return f"{reason}; its last line: {extractor.last_line[:200]}" if extractor.last_line else f"{reason}; it printed nothing"


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
