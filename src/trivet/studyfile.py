"""What study.yaml may hold: one declaration, so that a damaged or foreign one is told in a line, whoever reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trivet.errors import UserError
from trivet.options import REQUIRED, Anything, Either, ListOf, Maybe, OneOf, Real, Section, Whole, show


@dataclass(frozen=True)
class _Mapped:
    """A mapping with whatever in it, and a text under each of `texts`."""

    texts: tuple[str, ...] = ()
    default: Any = REQUIRED

    def allowed(self) -> str:
        return "a mapping" + (f" with {', '.join(self.texts)}" if self.texts else "")

    def accepts(self, value: Any) -> bool:
        return isinstance(value, Mapping) and all(isinstance(value.get(key), str) for key in self.texts)


@dataclass(frozen=True)
class _Text:
    """Any text: a sweep wrote it, whatever the app's names and values hold."""

    default: Any = REQUIRED

    def allowed(self) -> str:
        return "a text"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, str)


_MAPPED, _TEXT = Maybe(_Mapped()), Maybe(_Text())
_RANGE = Section({"key": _Text(), "spec": _Text(), "when": _MAPPED})
_FIELDS: dict[str, Any] = {
    **{"name": _Text(), "fingerprint": _Text(), "command": _Text(), "program": ListOf(_Text(), 0), "overrides": ListOf(_Text(), 0)},
    **{"directions": ListOf(OneOf(("minimize", "maximize"))), "metric": Maybe(Either((_Text(), ListOf(Anything(), 0))))},
    **{"seed": Maybe(Whole()), "lag": Maybe(Whole()), "n_trials": Maybe(Whole()), "n_jobs": Maybe(Whole()), "seconds": Maybe(Real())},
    **{"sampler": _Mapped(("name",)), "pruner": Maybe(_Mapped(("name",))), "constraints": _MAPPED, "space": ListOf(_RANGE, 0)},
    **{"stopped_by": _TEXT, "storage": _TEXT, "started": _TEXT, "finished": _TEXT},
    **{"defaults": _MAPPED, "config": _MAPPED, "identity": _MAPPED, "versions": _MAPPED, "git": _MAPPED, "hardware": _MAPPED},
}


def check(study: Mapping[str, Any], path: object, needed: Sequence[str] = ()) -> None:
    """Raise `UserError` where a key that is there has a value of a wrong kind, or one of `needed` is not there."""
    for key in needed:
        if key not in study:
            raise UserError(f"{path}: {key} is missing; name the folder that a sweep printed")
    for key, field in _FIELDS.items():
        if key in study and not field.accepts(study[key]):
            raise UserError(f"{path}: {key}={show(study[key])}: must be {field.allowed()}; it was not written by a sweep, or changed since")


def measured(study: Mapping[str, Any], columns: Sequence[str]) -> set[str]:
    """Of the columns of trials.csv where parameters stand, those that hold what was measured: metrics of constraints, values of replicates,
    and the objectives that weights make one."""
    held = {f"metric/{name}" if f"metric/{name}" in columns else str(name) for name in study.get("constraints") or {}}
    runs = study.get("replicates") or {}
    label = runs.get("name") or runs.get("key") or "replicate"
    held |= {"mean", "std", *(f"{label}={value}" for value in runs.get("values") or [])} if runs else set()
    parts = (study.get("weights") or {}).get("directions") or []
    return held | {f"objective_{place}" for place in range(len(parts))}


def tables_of_runs(folder: Path) -> tuple[Path, Path]:
    """The two tables of a sweep with a row for each training, and for each step of one: runs.csv and run_curves.csv where its trials have
    replicates."""
    found = folder / "runs.csv", folder / "run_curves.csv"
    return found if found[0].is_file() else (folder / "trials.csv", folder / "curves.csv")
