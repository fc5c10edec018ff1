"""A PostgreSQL server for tests, started from the binaries of this machine on a socket in a folder of its own."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest
from apps.running import until


def binaries():
    """The folder with initdb and postgres, or None."""
    found = shutil.which("initdb")
    folders = [Path(os.path.realpath(found)).parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "initdb").exists() and (folder / "postgres").exists()), None)


class Server:
    """`url` names its database; `stopped()` is a block without the server."""

    def __init__(self, programs, folder, who):
        self._programs, self.folder, self._who = programs, folder, who
        self.url = f"postgresql+psycopg2://trivet@/postgres?host={folder}"
        initdb = [programs / "initdb", "-D", folder / "data", "-U", "trivet", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"]
        subprocess.run(initdb, check=True, capture_output=True, cwd=folder, **who)
        self._process = None

    def start(self):
        command = [self._programs / "postgres", "-D", self.folder / "data", "-k", self.folder, "-c", "listen_addresses=", "-c", "fsync=off"]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log, **self._who)
        until(lambda: self._process.poll() is not None or self._answers(), "PostgreSQL", 30)
        assert self._process.poll() is None, (self.folder / "log").read_text()

    def stop(self):
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait()

    @contextlib.contextmanager
    def stopped(self):
        self.stop()
        try:
            yield
        finally:
            self.start()

    def sql(self, statement):
        return self._psql(statement, check=True).stdout

    def _answers(self):
        return self._psql("select 1").returncode == 0

    def _psql(self, statement, check=False):
        command = [self._programs / "psql", "-h", str(self.folder), "-U", "trivet", "-d", "postgres", "-Atc", statement]
        return subprocess.run(command, capture_output=True, text=True, cwd=self.folder, check=check)


@contextlib.contextmanager
def running_server():
    """A running server; the test is skipped where there is no PostgreSQL."""
    programs = binaries()
    if programs is None:
        pytest.skip("no PostgreSQL here: install the package `postgresql`")
    folder, who = Path(tempfile.mkdtemp(prefix="trivet-postgres-")), {}
    if os.geteuid() == 0:  # the server refuses to run as root
        who = {"user": "postgres", "group": "postgres", "extra_groups": []}
        shutil.chown(folder, "postgres", "postgres")
    server = Server(programs, folder, who)
    try:
        server.start()
        yield server
    finally:
        if server._process is not None:
            server.stop()
        shutil.rmtree(folder)
