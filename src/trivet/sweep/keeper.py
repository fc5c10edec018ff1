"""What a sweep started ends with it: find processes by a mark in their environment, and a keeper that ends them when their sweep is gone.

A mark is inherited by everything that a worker starts, in whatever session or process group. Where there is no /proc, process groups do.
This file runs by itself, as the keeper of a pool: `python keeper.py <mark>`. It knows no other module, so it starts in no time.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator

VARIABLE = "TRIVET_WORKER"
"""Its value: one mark for each sweep that this process is part of (a trial may run a sweep of its own), each ended by a semicolon."""

SECONDS = 10.0
"""How long to go on killing: a process that waits for a dead disk cannot be ended by anybody."""


def environments() -> Iterator[tuple[int, bytes]]:
    """(pid, the mark) of every other process that may be looked at and has one."""
    try:
        entries = os.listdir("/proc")
    except OSError:
        return
    for entry in entries:
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            with open(f"/proc/{entry}/environ", "rb") as file:
                content = file.read()
        except OSError:  # another user's, or gone
            continue
        if VARIABLE.encode() in content:
            for setting in content.split(b"\0"):
                if setting.startswith(VARIABLE.encode() + b"="):
                    yield int(entry), setting.partition(b"=")[2]


def marked(mark: str) -> list[int]:
    """The processes that carry `mark`, or a mark that begins so; zombies have no environment any more."""
    return [pid for pid, found in environments() if any(part.startswith(mark.encode()) for part in found.split(b";"))]


def kill(pid: int) -> None:
    """End a process at once; one that is gone already is fine."""
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def kill_group(group: int) -> None:
    """End a process group at once."""
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def kill_all(find: Callable[[], list[int]]) -> int:
    """Kill what `find` finds until it finds nothing: a process may start another while it is being ended. Returns how many there were."""
    seen: set[int] = set()
    end = time.monotonic() + SECONDS
    while (found := find()) and time.monotonic() < end:
        for pid in found:
            kill(pid)
        seen.update(found)
        time.sleep(0.005)
    return len(seen)


def main() -> None:
    """Read `+<group>` and `-<group>` from standard input; when it ends without `over`, end those groups and everything marked."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        word = line.strip()
        if word == "over":
            return
        if word[:1] in ("+", "-"):
            (groups.add if word[0] == "+" else groups.discard)(int(word[1:]))
    for group in groups:
        kill_group(group)
    kill_all(lambda: marked(sys.argv[1]))


if __name__ == "__main__":
    main()
