"""What a study is called in its storage: as was given, so that `optuna.load_study(name)` finds it, where that name is free or its own."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from optuna.exceptions import DuplicatedStudyError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection

from trivet import secrets
from trivet.study import tables, warm
from trivet.study.records import StudySpec
from trivet.study.storage import close, in_own_tables, open_storage

log = logging.getLogger("trivet")
OWNER = "trivet:identity"  # system attribute of a study: the fingerprint of what it is
MOMENTS = 20
MOMENT_SECONDS = 0.05
"""How long a study without trials and owner is watched: who makes one names its owner right afterwards."""


@dataclass(frozen=True)
class Named:
    """The name, and of the study that has the given one instead: its number of trials, and whether trivet began it."""

    name: str
    others: int | None = None
    ours: bool = False


def named(spec: StudySpec, given: str | None, mark: str, resumed: bool) -> StudySpec:
    """The same, called as `given` where the storage has no other study of that name; what has it instead is told."""
    if given is None or (spec.storage is not None and in_own_tables(spec.storage)):
        return spec
    if resumed and spec.storage is None:  # its journal is known, and may be long
        return replace(spec, name=tables.load_study(Path(spec.folder), ("name",))["name"])
    storage = open_storage(spec.storage, spec.folder)
    found = claim(storage, given, mark, spec.directions)
    close(storage)
    if found.others is not None:
        place = secrets.text(spec.storage or spec.folder)
        hint = "" if found.ours else f"; to learn from it: 'hydra.sweeper.warm_start=[\"{warm.address(place, given)}\"]'"
        told = f"another study has this name in {place}, with {found.others} trials; this one is {found.name}{hint}"
        log.warning(f"hydra.sweeper.study_name={given}: {told}")
    return replace(spec, name=found.name)


def claim(storage: BaseStorage, given: str, mark: str, directions: Sequence[str]) -> Named:
    """The name of the study with the fingerprint `mark`: `given`, made where it is missing, or with a suffix where it is another's.

    An empty study that somebody made beforehand, of the same directions, is taken. The suffix comes of the fingerprint, and a study that
    has it already keeps it.
    """
    suffixed = f"{given}-{mark[:8]}"
    wanted = [StudyDirection.MAXIMIZE if d == "maximize" else StudyDirection.MINIMIZE for d in directions]
    with contextlib.suppress(KeyError):
        storage.get_study_id_from_name(suffixed)
        return Named(suffixed)
    with contextlib.suppress(DuplicatedStudyError):
        storage.set_study_system_attr(storage.create_new_study(wanted, given), OWNER, mark)
        return Named(given)
    study_id = storage.get_study_id_from_name(given)
    for _ in range(MOMENTS):
        owner, n_trials = storage.get_study_system_attrs(study_id).get(OWNER), storage.get_n_trials(study_id)
        if owner is not None or n_trials:
            break
        time.sleep(MOMENT_SECONDS)
    if owner is None and not n_trials and storage.get_study_directions(study_id) == wanted:
        storage.set_study_system_attr(study_id, OWNER, mark)
        return Named(given)
    return Named(given) if owner == mark else Named(suffixed, n_trials, owner is not None)
