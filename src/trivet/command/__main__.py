"""`python -m trivet.command`: see app.py."""

import sys
from pathlib import Path

import hydra

from trivet.command.app import CONFIG, FILE, register, task
from trivet.errors import exit_code


def main() -> None:
    """Register what the present folder's trivet.yaml says, and hand over to Hydra."""
    register(Path(FILE))
    hydra.main(config_path=None, config_name=CONFIG, version_base="1.3")(task)()


if __name__ == "__main__":
    sys.exit(exit_code(main))
