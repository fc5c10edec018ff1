"""What a population has found: no configuration but a schedule, which configuration until which step; `schedule.yaml` is its winner's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trivet import secrets, space
from trivet.study import tables
from trivet.study.invocation import Invocation
from trivet.study.view import View

SAMPLER = "pbt"


def lineage(start_of: Mapping[int, int | None], number: int) -> list[int]:
    """A trial's ancestors and itself, the first of them first. `start_of`: trial -> the one that it went on from, or None."""
    way = [number]
    while (parent := start_of.get(way[-1])) is not None:
        way.append(parent)
    return way[::-1]


def of(study: View, number: int) -> dict[str, Any]:
    """The schedule that led to a trial: {trial, value, segments: [{trial, until, overrides}]}, secrets masked."""
    trials = {trial.number: trial for trial in study.finished()}
    starts = {n: ((study.given(n) or {}).get("start") or {}).get("trial") for n in trials}
    segments = [{"trial": n, "until": trials[n].step, "overrides": _overrides(study, n)} for n in lineage(starts, number)]
    return {"trial": number, "value": trials[number].values[0], "segments": segments}


def _overrides(study: View, number: int) -> list[str]:
    """All parameters of a trial, groups first, those of the default too: a schedule says what it is without the config."""
    keys = {param.name: param.key for param in study.spec.params}
    values = {keys.get(name, name): value for name, value in study.params_of(number).items()}
    texts = [f"{key}={space.sweep_text(value)}" for key, value in sorted(values.items(), key=lambda pair: pair[0] not in study.spec.groups)]
    return [text if text.partition("=")[0] in keys.values() else secrets.argument(text) for text in texts]


def command(study: View, folder: Path, fixed: Sequence[str]) -> str:
    """The command that trains the schedule of the sweep in `folder` again, `fixed` being what its own command says of all trials."""
    lasting = [text for text in fixed if not text.startswith("+trivet=") and text != f"hparams={SAMPLER}"]
    direction = f"hydra.sweeper.direction={study.spec.directions[0]}"
    how = ["hparams=replay"] if f"hparams={SAMPLER}" in fixed else ["+trivet=replay", direction]
    return Invocation.current().multi([*how, *lasting, f"hydra.sweeper.sampler.of={folder}"])


def write(study: View, folder: Path, fixed: Sequence[str]) -> None:
    """Write schedule.yaml, with the command that trains it again, where a member of a population has completed."""
    best = tables.best_of(study, study.finished()) if study.spec.sampler.name == SAMPLER else None
    if best is not None:
        tables.write_yaml(folder / tables.SCHEDULE, {"command": command(study, folder, fixed), **of(study, best.number)})
