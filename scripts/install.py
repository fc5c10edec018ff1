"""Install requirements.lock and this project into the environment that runs this file, with uv, without re-resolving.

    .venv/bin/python scripts/install.py

The lock leaves out the CUDA libraries: torch's own metadata pins them exactly, and the CPU build has none. So the lock goes in with
--no-deps, and then torch once more with its dependencies.
"""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"


def pip_settings(listing: str) -> dict[str, str]:
    """What `pip config list` says about where packages come from, by option name.

    pip reads its sections in the order global, install, environment variables; the later wins.
    """
    found: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in listing.splitlines():
        match = re.fullmatch(r"(global|install|:env:)\.([\w-]+)=(.*)", line.strip())
        if match:
            section, key, value = match.groups()
            found[section][key] = str(ast.literal_eval(value))
    return found["global"] | found["install"] | found[":env:"]


def uv_options(settings: dict[str, str]) -> list[str]:
    """uv's options for the same package sources as pip's settings. Lists are separated by white space, as pip writes them."""
    options = []
    if settings.get("no-index", "").lower() in {"1", "true", "yes", "on"}:
        options.append("--no-index")
    for key in ("index-url", "extra-index-url", "find-links"):
        for value in settings.get(key, "").split():
            options += [f"--{key}", value]
    if settings.get("extra-index-url"):
        options += ["--index-strategy", "unsafe-best-match"]  # pip's rule: the best version of all indexes
    return options


def sources() -> tuple[list[str], dict[str, str]]:
    """uv's options and environment that stand for the user's pip configuration."""
    listing = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True).stdout
    settings = pip_settings(listing)
    environment = dict(os.environ)
    if "cert" in settings:
        environment.setdefault("SSL_CERT_FILE", settings["cert"])
    return uv_options(settings), environment


def uv() -> list[str]:
    """The command that starts this environment's uv; installs it with pip when it is not there."""
    if subprocess.run([sys.executable, "-m", "uv", "--version"], capture_output=True).returncode != 0:
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "uv"], check=True)
    return [sys.executable, "-m", "uv"]


def locked(name: str) -> str:
    """`name==version` as requirements.lock has it."""
    match = re.search(rf"^{re.escape(name)}==\S+", LOCK.read_text(), re.MULTILINE)
    if match is None:
        sys.exit(f"error: requirements.lock does not name {name}: run make lock")
    return match.group()


def main() -> None:
    command = uv()
    options, environment = sources()
    install = [*command, "pip", "install", "--python", sys.executable, *options]
    if sys.dont_write_bytecode:  # else Python compiles the quarter of it that is ever imported; torch takes twice as long to import without
        install.append("--compile-bytecode")
    steps = (["--no-deps", "-r", str(LOCK)], [locked("torch")], ["--no-deps", "--no-build-isolation", "-e", str(ROOT)])
    for step in steps:
        done = subprocess.run([*install, *step], env=environment, cwd=ROOT)
        if done.returncode != 0:
            sys.exit(f"error: installing {step[-1]} failed (see above): mend the cause, then run make setup again")


if __name__ == "__main__":
    main()
