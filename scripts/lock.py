"""Resolve requirements.lock from pyproject.toml, for every platform and for CPU and GPU machines alike.

    make lock      # what is locked stays as it is where it can: delete the file first to bring everything up to date

What differs between a CPU and a CUDA build is taken out: torch's local version (+cpu) and the CUDA libraries, which torch's own metadata
pins (scripts/install.py brings them). Where packages come from is the user's business: no index and no folder is written down.
"""

import os
import re
import subprocess
import sys

from install import LOCK, ROOT, sources, uv

CUDA = re.compile(r"(nvidia-|cuda-|triton\b)")
PIN = re.compile(r"(?P<pin>[\w.-]+==[^\s;+]+)(?P<local>\+\w+)?")


def portable(text: str) -> str:
    """The lock's text without CUDA packages, notes that name them, and local versions.

    uv splits a package by platform where one platform has a local version; once that is gone the parts are one line for all.
    """
    blocks: list[list[str]] = []  # the header, then one block per package: its line and the `# via` lines below it
    for line in text.splitlines():
        if blocks and line.startswith((" ", "#")):
            blocks[-1].append(line)
        else:
            blocks.append([line])
    pins = [PIN.match(block[0]) for block in blocks]
    split = {found["pin"] for found in pins if found and found["local"]}
    kept: dict[str, list[str]] = {}
    for found, block in zip(pins, blocks, strict=True):
        if found is None or CUDA.match(block[0]):
            if block[0].startswith("#"):
                kept[""] = block
            continue
        line = found["pin"] if found["pin"] in split else block[0]
        kept.setdefault(line, [line, *(note for note in block[1:] if not CUDA.match(note.lstrip(" #").removeprefix("via ")))])
    return "\n".join("\n".join(block) for block in kept.values()) + "\n"


def main() -> None:
    options, environment = sources()
    quiet = ["--no-emit-index-url", "--no-emit-find-links", "--quiet", "--custom-compile-command", "make lock"]
    draft = LOCK.with_suffix(".lock.tmp")
    draft.write_text(LOCK.read_text() if LOCK.exists() else "")  # uv keeps the versions that the output file names
    command = [*uv(), "pip", "compile", "pyproject.toml", "--extra", "dev", "--universal", "--python-version", "3.11", *quiet, *options]
    done = subprocess.run([*command, "--output-file", str(draft)], cwd=ROOT, env=environment)
    if done.returncode != 0:
        draft.unlink()
        sys.exit("error: pyproject.toml does not resolve (see above); requirements.lock is as it was")
    draft.write_text(portable(draft.read_text()))
    os.replace(draft, LOCK)
    print(f"wrote {LOCK.name}: look at the difference, then run make setup and make test")


if __name__ == "__main__":
    main()
