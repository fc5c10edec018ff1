"""Many finished trials into Optuna's own tables at once, as the rows that its `create_new_trial` would write."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from optuna.distributions import BaseDistribution, check_distribution_compatibility, distribution_to_json
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial
from sqlalchemy.orm import Session

from trivet.study.records import GIVEN_PARAMS, LAST_STEP, REASON

AT_ONCE = 500
"""Trials that are written in one transaction: a copy that is killed has whole ones, and goes on behind them."""
FOR_OTHERS = (REASON, GIVEN_PARAMS, LAST_STEP)
"""Attributes of ours that a copy has too; the rest may be long, and only trivet itself reads it."""


def add(storage: Any, study_id: int, trials: Sequence[FrozenTrial]) -> int:
    """Write the next of the finished `trials` (number = place) that a study in Optuna's tables lacks, in one transaction. Returns how many.

    The rows are those that `create_new_trial` would have written; one by one they cost a dozen ways to the server and back each.
    """
    with Session(storage._backend.engine) as session, session.begin():
        study = models.StudyModel.find_or_raise_by_id(study_id, session, for_update=True)  # who else adds trials waits, as in Optuna
        n_known = models.TrialModel.count(session, study)
        new = trials[n_known : n_known + AT_ONCE]
        rows = [
            models.TrialModel(
                study_id=study_id,
                number=number,
                state=trial.state,
                datetime_start=trial.datetime_start,
                datetime_complete=trial.datetime_complete,
            )
            for number, trial in enumerate(new, n_known)
        ]
        session.add_all(rows)
        session.flush()  # gives them their ids, in their order
        known: dict[str, BaseDistribution] = {}
        for row, trial in zip(rows, new, strict=True):
            session.add_all(_parts(row.trial_id, trial))
            for name, found in trial.distributions.items():
                check_distribution_compatibility(known.setdefault(name, found), found)
    return len(new)


def _parts(trial_id: Any, trial: FrozenTrial) -> Iterator[Any]:
    """What the tables hold of a trial beside its own row."""
    for objective, value in enumerate(trial.values or ()):
        stored, kind = models.TrialValueModel.value_to_stored_repr(value)
        yield models.TrialValueModel(trial_id=trial_id, objective=objective, value=stored, value_type=kind)
    for name, given in trial.params.items():
        ranges = trial.distributions[name]
        written = {"param_value": ranges.to_internal_repr(given), "distribution_json": distribution_to_json(ranges)}
        yield models.TrialParamModel(trial_id=trial_id, param_name=name, **written)
    for key, content in trial.user_attrs.items():
        if not key.startswith("trivet:") or key in FOR_OTHERS:
            yield models.TrialUserAttributeModel(trial_id=trial_id, key=key, value_json=json.dumps(content))
    for key, content in trial.system_attrs.items():
        yield models.TrialSystemAttributeModel(trial_id=trial_id, key=key, value_json=json.dumps(content))
    for step, value in trial.intermediate_values.items():
        kept, sort = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr(value)
        yield models.TrialIntermediateValueModel(trial_id=trial_id, step=step, intermediate_value=kept, intermediate_value_type=sort)
