"""What makes two sweeps the same study: everything that can change a result, and nothing that cannot."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from trivet.errors import UserError


def fingerprint(identity: Mapping[str, Any]) -> str:
    """A digest of an identity; the same for the same content whatever its order."""
    return hashlib.sha256(json.dumps(_with_text_keys(identity), sort_keys=True, default=str).encode()).hexdigest()


def _with_text_keys(value: Any) -> Any:
    """The same with keys of other kinds than text told apart from it: JSON cannot sort them, nor hold some."""
    if isinstance(value, Mapping):
        return {k if isinstance(k, str) else f"{type(k).__name__} {k}": _with_text_keys(v) for k, v in value.items()}
    return [_with_text_keys(v) for v in value] if isinstance(value, (list, tuple)) else value


def file_hashes(patterns: Sequence[str], root: Path) -> dict[str, str]:
    """SHA-256 of every file that the patterns (relative to `root`) match. Raises `UserError` for a pattern that matches none."""
    hashes = {}
    for pattern in patterns:
        if (root / pattern).is_file():  # whatever its name holds
            found = [root / pattern]
        else:
            base, relative = (Path("/"), pattern.lstrip("/")) if os.path.isabs(pattern) else (root, pattern)
            found = sorted(p for p in base.glob(relative) if p.is_file()) if relative else []
        if not found:
            raise UserError(
                f"hydra.sweeper.identity.files: {pattern} matches no file under {root}; name files whose content decides results"
            )
        for file in found:
            hashes[os.path.relpath(file, root)] = hashlib.sha256(file.read_bytes()).hexdigest()[:16]
    return hashes


def differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """The dotted keys in which two identities differ."""
    keys = []
    for key in dict.fromkeys([*old, *new]):
        a, b = old.get(key), new.get(key)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            keys += differences(a, b, f"{prefix}{key}.")
        elif a != b:
            keys.append(f"{prefix}{key}")
    return keys


def told(old: Mapping[str, Any], new: Mapping[str, Any], most: int = 6) -> str:
    """In what two identities differ, for a person: the files and options by name, the rest by key."""
    kinds = {"code.": "the code of ", "files.": "the content of ", "values.": "the value of ", "options.": "the config of ", "config.": ""}
    words = []
    for key in differences(old, new):
        kind = next((kind for kind in kinds if key.startswith(kind)), "")
        words.append(kinds.get(kind, "") + key.removeprefix(kind))
    return ", ".join(words[:most]) + (" ..." if len(words) > most else "")


def without(config: Mapping[str, Any], dotted: Sequence[str]) -> dict[str, Any]:
    """A copy of a nested mapping without these keys."""
    result = {}
    for key, value in config.items():
        if key in dotted:
            continue
        inner = [d.removeprefix(f"{key}.") for d in dotted if d.startswith(f"{key}.")]
        result[key] = without(value, inner) if isinstance(value, Mapping) and inner else value
    return result


def versions() -> dict[str, str]:
    """Versions of what takes part in a result."""
    found = {"python": platform.python_version()}
    for name in ("trivet", "hydra-core", "optuna", "numpy", "torch", "scipy", "cmaes"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


PIPELINE_WRITES = ("dvc.lock", "reports", "results")
"""Tracked files that earlier stages of the same run have changed; they are results, and change no result."""


def git_state(folder: Path) -> dict[str, Any] | None:
    """Commit and whether the work tree differs from it, in more than what a pipeline writes; None outside a repository."""
    if shutil.which("git") is None:
        return None

    def git(*arguments: str) -> str | None:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else None

    commit = git("rev-parse", "HEAD")
    if commit is None:
        return None
    written = [f":(exclude){path}" for path in PIPELINE_WRITES]
    return {"commit": commit, "dirty": bool(git("status", "--porcelain", "--untracked-files=no", "--", ":/", *written))}


VECTOR_FLAGS = re.compile(r"(sse4_|avx|fma|f16c|amx|asimd|neon|sve)\w*")
"""What of a processor's flags decides which kernels run, and so how sums are rounded."""


def hardware() -> dict[str, Any]:
    """The machine in a few words. Processors of one name may round differently: model, stepping and vector flags tell them apart."""
    info = Path("/proc/cpuinfo")
    cpu = _cpu(info.read_text(encoding="utf-8", errors="replace") if info.exists() else "")
    return {**cpu, "cores": os.cpu_count(), "gpus": gpu_names()}


def _cpu(text: str) -> dict[str, Any]:
    """Name, model and vector flags of the first processor of a /proc/cpuinfo; only the name where it says no more."""
    first = dict(line.split(":", 1) for line in text.split("\n\n")[0].splitlines() if ":" in line)
    known = {key.strip(): value.strip() for key, value in first.items()}
    names = (("family", "cpu family"), ("model", "model"), ("stepping", "stepping"))
    parts = [f"{what} {known[key]}" for what, key in names if key in known]
    flags = sorted({flag for flag in (known.get("flags") or known.get("Features") or "").split() if VECTOR_FLAGS.fullmatch(flag)})
    cpu: dict[str, Any] = {"cpu": known.get("model name") or platform.processor() or platform.machine()}
    return cpu | ({"model": " ".join(parts)} if parts else {}) | ({"vector_flags": flags} if flags else {})


def gpu_names() -> list[str]:
    """Names of the NVIDIA GPUs that this process may use, without starting CUDA; an empty list where there are none."""
    visible = _visible()
    if visible == [] or shutil.which("nvidia-smi") is None:
        return []
    query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):  # a driver that is broken
        return []
    names = [line.strip() for line in done.stdout.splitlines() if line.strip()] if done.returncode == 0 else []
    if visible is None or not names:
        return names
    return [names[int(i)] if i.isdigit() and int(i) < len(names) else i for i in visible]


def gpu_ids() -> list[str]:
    """What to put into CUDA_VISIBLE_DEVICES to name each GPU."""
    names, visible = gpu_names(), _visible()
    return visible if visible is not None and names else [str(i) for i in range(len(names))]


def _visible() -> list[str] | None:
    """What CUDA_VISIBLE_DEVICES allows, None for all. CUDA stops at the first entry that is no GPU, such as -1."""
    value = os.environ.get("CUDA_VISIBLE_DEVICES")
    if value is None:
        return None
    return list(itertools.takewhile(lambda i: i and not i.startswith("-"), (i.strip() for i in value.split(","))))


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
