"""Runs a command as the leader of its own process group, and ends the whole group when asked to, or when whoever asked is gone.

    python -m trivet.command.guard FD GRACE program argument ...

FD is the reading end of a pipe: any byte, or its end (the other side died, however it died), means: stop. The group gets SIGTERM, and
after GRACE seconds SIGKILL. On Linux what left the group is ended too: this process adopts orphans of its descendants. Ends as the command
ended: with its exit code, or by its signal.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

PR_SET_CHILD_SUBREAPER = 36
PAUSE_SECONDS = 0.02


def main(argv: Sequence[str]) -> None:
    """See the module."""
    pipe, grace, command = int(argv[0]), float(argv[1]), list(argv[2:])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the terminal's group: whoever asked decides what it means
    _adopt_orphans()
    try:
        child = subprocess.Popen(command, start_new_session=True, stdin=subprocess.DEVNULL)
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)
        sys.exit(127)
    threading.Thread(target=_watch, args=(pipe, child, grace), daemon=True).start()
    status = child.wait()
    _end(child.pid, 0.0 if status == 0 else grace)  # what it left running
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    sys.exit(status)


def _adopt_orphans() -> None:
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _watch(pipe: int, child: subprocess.Popen[bytes], grace: float) -> None:
    select.select([pipe], [], [])
    _end(child.pid, grace)


def _end(group: int, grace: float) -> None:
    """SIGTERM to the group, SIGKILL to what is left of it, and to whatever else descends from this process."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGTERM)
        until = time.monotonic() + grace
        while time.monotonic() < until and _alive(group):
            time.sleep(PAUSE_SECONDS)
        os.killpg(group, signal.SIGKILL)
    for descendant in _descendants():
        if descendant != group:  # its end is for `main` to see
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(descendant, signal.SIGKILL)


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _descendants() -> list[int]:
    """Every process below this one, where /proc tells; empty elsewhere."""
    children: dict[int, list[int]] = {}
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc"):
            if name.isdigit():
                with (
                    contextlib.suppress(OSError, IndexError, ValueError),
                    open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file,
                ):
                    parent = int(file.read().rpartition(")")[2].split()[1])
                    children.setdefault(parent, []).append(int(name))
    found, todo = [], [os.getpid()]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


if __name__ == "__main__":
    main(sys.argv[1:])
