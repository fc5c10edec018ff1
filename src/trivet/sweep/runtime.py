"""A private place for what a sweep's processes hand each other: gone when its owner ends, or at the next start after a kill."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from pathlib import Path

PREFIX = "trivet-"


class RuntimeFolder:
    """A folder that only this user may open (0700), on the local disk. `path` is there until `close`, or until its process has died."""

    def __init__(self, base: Path | None = None) -> None:
        base = base or _base()
        _remove_abandoned(base)
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))  # 0700
        self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def create(self, name: str) -> int:
        """A new file of this folder, open to write, 0600: a descriptor."""
        return os.open(self.path / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def close(self) -> None:
        """Remove the folder."""
        if self._lock >= 0:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._lock)
            self._lock = -1


def _base() -> Path:
    """The user's own runtime folder, where the system gives one."""
    given = os.environ.get("XDG_RUNTIME_DIR")
    if given and os.path.isdir(given) and os.access(given, os.W_OK) and os.stat(given).st_uid == os.geteuid():
        return Path(given)
    return Path(tempfile.gettempdir())


def _remove_abandoned(base: Path) -> None:
    """Remove the folders whose owner was killed: nobody holds their lock any more."""
    for folder in base.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # another user's, or gone by now
            found = folder.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) != 0o700:
                continue
            lock = os.open(folder / "lock", os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
