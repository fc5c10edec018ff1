"""Stage `prepare`: write the search file and the test file that the rest of the pipeline reads.

    python pipelines/prepare.py data=digits data.val_fraction=0.25

Takes the same overrides as src/train.py. Prints one line per file; bad data or a bad override is one line on stderr, and exit status 2.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from trivet import data
from trivet.errors import UserError

CONF = Path(__file__).resolve().parent.parent / "conf"


def data_config(overrides: list[str]) -> dict[str, Any]:
    """The conf/data node that the overrides choose, resolved. UserError when Hydra refuses them."""
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            node = compose("config", overrides=overrides).data
        return OmegaConf.to_container(node, resolve=True)
    except (HydraException, OmegaConfBaseException) as error:
        text = str(error).partition("Config search path")[0]  # which lists Hydra's own folders too
        raise UserError(" ".join(text.split())) from error


def main(overrides: list[str]) -> int:
    try:
        config = data_config(overrides)
        folder = Path(config.get("path") or "data/prepared")
        meta = data.prepare(config, folder)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(summary(meta, folder))
    return 0


def summary(meta: dict[str, Any], folder: Path) -> str:
    """One line per file written, then what the samples are."""
    parts = {
        "search.npz": f"{meta['n_train']} training + {meta['n_val']} validation",
        "test.npz": f"{meta['n_test']} test",
        "data.yaml": "",
    }
    lines = [f"{os.path.join(folder, name):32} {what + ' samples' if what else 'what they are'}" for name, what in parts.items()]
    kind = f"{meta['n_classes']} classes" if meta["n_classes"] else f"regression, {meta['n_outputs']} target(s)"
    shape = " x ".join(map(str, meta["input_shape"]))
    return "\n".join([*lines, f"{meta['name']}: {kind}, inputs {shape}, sha256 {meta['sha256'][:12]}"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
