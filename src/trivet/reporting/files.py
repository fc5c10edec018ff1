"""A report's files, each written whole."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Every file whole: a temporary file beside it, then a rename. Figures and plots of an earlier report that are no more are removed.

    Returns the path of what is to be opened: the HTML file, else the Markdown.
    """
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    for part, suffix in (("figures", ".svg"), ("plots", ".csv")):
        for old in (folder / part).glob(f"*{suffix}"):
            if f"{part}/{old.name}" not in files:
                old.unlink()
    return folder / next(name for suffix in (".html", ".md") for name in files if name.endswith(suffix))
