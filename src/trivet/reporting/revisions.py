"""The published results of a git revision, without checking it out: files that git tracks, and outs of dvc.lock from DVC's cache."""

from __future__ import annotations

import configparser
import json
import re
import subprocess
from pathlib import Path, PurePosixPath

import yaml

from trivet.errors import UserError

SWEEPS = ("coarse", "fine", "seeds")
FILES = ("trials.csv", "curves.csv", "runs.csv", "run_curves.csv", "study.yaml", "best.yaml")
METRICS = "reports/metrics.json"


def commit_of(word: str, root: Path) -> str | None:
    """The commit that a word names in the repository of `root`; None where it names none."""
    if word.startswith("-"):
        return None
    found = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{word}^{{commit}}")
    return found.decode().strip() if found else None


def extract(commit: str, root: Path, into: Path) -> list[str]:
    """Write the tables of results/ and reports/metrics.json as of a commit under `into`; returns a sentence for each sweep that is not to
    be had. Objects of git and of DVC's cache are only read."""
    prefix = (_git(root, "rev-parse", "--show-prefix") or b"").decode().strip()
    outs = _outs(_show(commit, f"{prefix}dvc.lock", root))
    missing = []
    for name in SWEEPS:
        folder = PurePosixPath("results") / name
        files = {file: _show(commit, f"{prefix}{folder / file}", root) for file in FILES}
        if files["trials.csv"] is None and (mark := outs.get(str(folder))):
            files, absent = _cached(mark, _cache(root))
            if absent:
                missing.append(f"{folder} is not in DVC's cache here ({absent}); `dvc fetch --all-commits` gets it where a remote has it")
        elif files["trials.csv"] is None and name == "coarse":
            missing.append(f"neither git nor dvc.lock knows {folder} there")
        for file, content in files.items():
            if content is not None:
                _put(into / folder / file, content)
    metrics = _show(commit, f"{prefix}{METRICS}", root)
    if metrics is not None:
        _put(into / METRICS, metrics)
    return missing


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _git(root: Path, *words: str) -> bytes | None:
    """What git prints; None where it refuses."""
    try:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, check=False)
    except FileNotFoundError:
        raise UserError("git is not installed, and a revision can be read by it alone; name folders") from None
    return done.stdout if done.returncode == 0 else None


def _show(commit: str, path: str, root: Path) -> bytes | None:
    return _git(root, "show", f"{commit}:{path}")


def _outs(lock: bytes | None) -> dict[str, str]:
    """path -> md5 of every out of a dvc.lock."""
    try:
        content = yaml.safe_load(lock.decode()) if lock else {}
        stages = (content or {}).get("stages") or {}
        return {str(out["path"]): str(out["md5"]) for stage in stages.values() for out in stage.get("outs") or [] if "md5" in out}
    except (yaml.YAMLError, UnicodeDecodeError, AttributeError, TypeError, KeyError):
        return {}


def _cache(root: Path) -> Path:
    """DVC's cache: `cache.dir` of .dvc/config.local or .dvc/config, else .dvc/cache."""
    for name in ("config.local", "config"):
        config = configparser.ConfigParser(interpolation=None)
        try:
            config.read(root / ".dvc" / name, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError):
            continue
        if config.has_option("cache", "dir"):
            return root / ".dvc" / config.get("cache", "dir")
    return root / ".dvc" / "cache"


def _object(cache: Path, mark: str) -> bytes | None:
    if not re.fullmatch(r"[0-9a-f]{32}([.]dir)?", mark):
        return None
    path = cache / "files" / "md5" / mark[:2] / mark[2:]
    return path.read_bytes() if path.is_file() else None


def _cached(mark: str, cache: Path) -> tuple[dict[str, bytes | None], str]:
    """(the tables of a folder that DVC keeps, "" or which object is missing)."""
    nothing: dict[str, bytes | None] = {}
    listed = _object(cache, mark)
    if listed is None:
        return nothing, mark
    try:
        known = {str(item["relpath"]): str(item["md5"]) for item in json.loads(listed)}
    except (ValueError, KeyError, TypeError):
        return nothing, f"{mark} is no list of files"
    if "trials.csv" not in known:
        return nothing, "the folder has no trials.csv"
    files = {name: _object(cache, known[name]) for name in FILES if name in known}
    absent = next((name for name, content in files.items() if content is None), "")
    return ({}, f"{absent}: {known[absent]}") if absent else (files, "")
