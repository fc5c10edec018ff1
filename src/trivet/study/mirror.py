"""A study in PostgreSQL once more in Optuna's own tables, where `optuna.load_study(study_name="sphere", storage=url)` finds it.

trivet keeps it in tables of its own, which cost a fraction (postgres.py). The copy is made when a sweep ends, of the trials that it does
not have yet; nothing is ever read from it but by others.
"""

from __future__ import annotations

import itertools
import logging

from optuna.storages import BaseStorage
from optuna.study import StudyDirection

from trivet import secrets
from trivet.study.naming import claim
from trivet.study.storage import MIRRORED, close, in_own_tables, open_optunas, with_driver
from trivet.study.study import Study

log = logging.getLogger("trivet")


def offer(study: Study, given: str | None, mark: str) -> None:
    """Copy a study whose tables are our own and that was given a name, and tell where; a copy that fails is told, and no more."""
    url = study.spec.storage
    if given is None or url is None or not in_own_tables(url):
        return
    try:
        name = mirror(study, given, mark)
    except Exception as error:  # of a driver, of Optuna's tables of another version
        log.warning(f"hydra.sweeper.study_name={given}: {secrets.line(f'not copied into Optuna tables ({type(error).__name__}: {error})')}")
    else:
        log.info(f"optuna.load_study(study_name={name!r}, storage={secrets.text(with_driver(url))!r}) finds this study")


def mirror(study: Study, given: str, mark: str) -> str:
    """Add the finished trials from number 0 on, without a gap, that the copy lacks. Returns its name: `given`, or one with a suffix where
    that is another study's. Two machines may call it at once."""
    from trivet.study import optuna_tables  # SQLAlchemy's classes of them take a while to import

    storage = open_optunas(str(study.spec.storage))
    try:
        with study.locks.mutex():
            name = claim(storage, given, mark, study.spec.directions).name
            study_id = _id_of(storage, name, study)
        finished = list(itertools.takewhile(lambda trial: trial.state.is_finished(), study.trials))
        while optuna_tables.add(storage, study_id, finished):
            pass
        return name
    finally:
        close(storage)


def _id_of(storage: BaseStorage, name: str, study: Study) -> int:
    if name not in {known.study_name for known in storage.get_all_studies()}:  # claim leaves a name with a suffix to be made
        directions = [StudyDirection.MAXIMIZE if d == "maximize" else StudyDirection.MINIMIZE for d in study.spec.directions]
        storage.create_new_study(directions, name)
    study_id = storage.get_study_id_from_name(name)
    storage.set_study_system_attr(study_id, MIRRORED, study.spec.name)
    return study_id
