"""How the app was started, so that a command can be printed that starts it again."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from trivet import secrets

FLAGS = ("config_path", "config_name", "config_dir")  # of Hydra's command line: which config it is


@dataclass(frozen=True)
class Invocation:
    """`program`: what starts it, `flags`: which config it takes, `multirun`: whether -m said so (else the config did)."""

    program: tuple[str, ...]
    flags: tuple[str, ...] = ()
    multirun: bool = True

    @classmethod
    def current(cls) -> Invocation:
        """This process's: a script, `python -m package.app`, or a console script."""
        given = _parsed(sys.argv[1:])
        flags = [word for name in FLAGS if (value := getattr(given, name, None)) for word in (f"--{name.replace('_', '-')}", str(value))]
        return cls(tuple(_program()), tuple(flags), bool(getattr(given, "multirun", True)))

    @property
    def command(self) -> str:
        """The command line of this process, as its user would type it, secrets masked."""
        return shlex.join([*self.program, *map(secrets.argument, sys.argv[1:])])

    def single(self, overrides: Sequence[str]) -> str:
        """The command of one training with these overrides, quoted for a shell. What is searched is no secret, whatever its name."""
        mode = [] if self.multirun else ["hydra.mode=RUN"]  # the config says MULTIRUN, and would start a sweep again
        return shlex.join([*self.program, *self.flags, *mode, *overrides])

    def multi(self, overrides: Sequence[str]) -> str:
        """The command of a sweep with these overrides (secrets masked), quoted for a shell."""
        return shlex.join([*self.program, *self.flags, "-m", *map(secrets.argument, overrides)])


def _parsed(words: Sequence[str]) -> Any:
    """Hydra's own reading of its command line; None where the words are not meant for it (a notebook's kernel, a test)."""
    from hydra._internal.utils import get_args_parser

    parser = get_args_parser()
    parser.error = _not_hydras  # type: ignore[method-assign]  # Hydra makes the parser, so it cannot be of a class of our own
    try:
        return parser.parse_args(list(words))
    except ValueError:
        return None


def _not_hydras(message: str) -> Any:
    raise ValueError(message)


def _program() -> list[str]:
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    if spec is not None and spec.name != "__main__":
        return ["python", "-m", spec.name.removesuffix(".__main__")]
    script = sys.argv[0]
    if script.endswith(".py") or not os.access(script, os.X_OK):
        return ["python", script]
    name = os.path.basename(script)
    return [name if shutil.which(name) and os.path.samefile(shutil.which(name) or "", script) else script]
