"""Stage `prepare`: write the search file and the test file that the rest of the pipeline reads.

    python pipelines/prepare.py data=digits data.val_fraction=0.25

Takes the same overrides as src/train.py. Prints one line per file, what was understood of a file of your own, and a warning for each column
that is probably not what you think; data.yaml keeps them. Bad data or a bad override is one line on stderr, and exit status 2.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from trivet import data
from trivet.data import mends
from trivet.data.telling import not_listed, summary, understood
from trivet.errors import UserError, exit_code

ROOT = Path(__file__).resolve().parent.parent


def data_config(overrides: list[str]) -> dict[str, Any]:
    """The conf/data node that the overrides choose, resolved. UserError when Hydra refuses them, or cannot read a file of conf/."""
    try:
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            node = compose("config", overrides=overrides).data
        return OmegaConf.to_container(node, resolve=True)
    except (HydraException, OmegaConfBaseException) as error:
        if unread := [word for word in overrides if not _is_read(word)]:
            key, sign, value = unread[0].partition("=")
            if not sign:
                raise UserError(f"{unread[0]}: is no override: write key=value") from error
            mend = "quote the texts in it" if value.startswith(("[", "{")) else f"quote its value, as in {mends.text(key, value)}"
            raise UserError(f"{unread[0]}: Hydra cannot read it: {mend}") from error
        text = str(error).partition("Config search path")[0]  # which lists Hydra's own folders too
        text += f" ({str(error.__cause__).splitlines()[0]})" if str(error.__cause__ or "") else ""
        raise UserError(" ".join(text.split())) from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:  # a date that is none is a ValueError, deep nesting a RecursionError
        raise UserError(f"conf/: a file cannot be read as YAML: {' '.join(str(error).split())[:200]}") from error


def _is_read(override: str) -> bool:
    try:
        OverridesParser.create().parse_override(override)
    except HydraException:
        return False
    return True


def stage(overrides: list[str]) -> None:
    config = data_config(overrides)
    folder = Path(config.get("path") or "data/prepared")
    meta = data.prepare(config, folder)
    print("\n".join([summary(meta, folder), *understood(meta), *not_listed(config, ROOT)]))


def main(overrides: list[str]) -> int:
    return exit_code(lambda: stage(overrides))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
