"""The commands that a report may name: only such as exist for the app that was tuned, from its study, its dvc.yaml and params.yaml."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from trivet import app
from trivet.diagnosis.sweep import Sweep
from trivet.reporting.tables import Results

SWEEP_VALUE = re.compile(r"^\s*(interval|choice|range|tag|int|float|glob|sort|shuffle|extend_list)\s*\(")
AUDIT = Path("pipelines/audit.py")


def experiment(results: Results | None, key: str, value: object) -> str | None:
    """`dvc exp run -S key=value`; None where there is no pipeline, or params.yaml has no such key."""
    if results is None or not results.pipeline:
        return None
    if app.is_here(results.root) and not (results.root / ".dvc").is_dir():
        return None  # its stages are run by `trivet run`, which has no experiments
    node: object = results.params
    for part in key.split("."):
        if not isinstance(node, Mapping) or part not in node:
            return None
        node = node[part]
    return f"dvc exp run -S {key}={value}"


def audit(results: Results | None, sweep: Sweep, n: int = 8) -> str | None:
    """Trains a sample of a search's pruned trials to the end; None where the app has no such stage."""
    if results is None or not sweep.count("PRUNED"):
        return None
    n = min(n, sweep.count("PRUNED"))
    if app.is_here(results.root):
        return f"trivet audit results/{sweep.name} --n {n}"
    return f"python {AUDIT.as_posix()} results/{sweep.name} --n {n}" if (results.root / AUDIT).is_file() else None


def seed_key(results: Results | None) -> str | None:
    """The key of the app's config that seeds a training; None where it has none."""
    return app.read(results.root).seed_key if results is not None and app.is_here(results.root) else "seed"


def again(results: Results | None, sweep: Sweep, param: str, key: str, value: object) -> str | None:
    """The study once more with one setting changed: the pipeline's knob `param`, else the study's own command with `key`."""
    if results is not None and results.pipeline:
        return experiment(results, param, value)
    words = words_of(sweep)
    return shlex.join(replaced(words, {key: str(value)})) if words else None


def words_of(sweep: Sweep) -> list[str]:
    """The study's command, split into words; empty where it is not known."""
    text = sweep.study.get("command")
    if isinstance(text, list):
        return [str(word) for word in text]
    try:
        return shlex.split(str(text)) if text else []
    except ValueError:
        return str(text).split()


def split_command(sweep: Sweep) -> tuple[list[str], list[str]]:
    """(program, overrides): the words up to and with the script, and the `key=value` words after it; flags are left out."""
    words = words_of(sweep)
    for place, word in enumerate(words):
        if word.endswith(".py"):
            return words[: place + 1], [item for item in words[place + 1 :] if not item.startswith("-")]
    return words[:1], [item for item in words[1:] if not item.startswith("-") and "=" in item]


def command(sweep: Sweep, overrides: Sequence[str]) -> str | None:
    """One training run: the study's own script, its fixed overrides (not those that are about the sweep), then `overrides`."""
    program, words = split_command(sweep)
    if not program:
        return None
    known = sweep.study.get("overrides")  # what the command fixed for all trials, as the sweeper read it
    words = [str(word) for word in known] if isinstance(known, list) else words
    chosen = {word.split("=", 1)[0].lstrip("+~") for word in overrides}
    searched = set(sweep.params)
    fixed = []
    for word in words:
        key, _, value = word.partition("=")
        key = key.lstrip("+~")
        about_sweep = key in ("hparams", "trivet") or key.startswith(("hydra.", "hydra/"))
        swept = bool(SWEEP_VALUE.match(value)) or ("," in value and not value.startswith(("[", "{", "'", '"')))
        if not about_sweep and not swept and key not in chosen and key not in searched:
            fixed.append(word)
    return shlex.join([*program, *fixed, *overrides])


def replaced(words: Sequence[str], changed: Mapping[str, str]) -> list[str]:
    """A study's command with these keys set: in place where they stand in it, else at the end. What only publishes a phase is left out."""
    left = dict(changed)
    out = []
    for word in words:
        key = word.split("=", 1)[0]
        if key == "hydra.sweeper.publish":
            continue
        out.append(f"{key}={left.pop(key)}" if "=" in word and key in left else word)
    return [*out, *(f"{key}={value}" for key, value in left.items())]
