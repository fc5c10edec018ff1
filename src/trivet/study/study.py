"""A study on disk: open or resume it, claim the next trial, sample it, report, tell, and read its table.

Any number of workers hold a `Study` on one storage; there is no master. What may be claimed, what a trial is sampled from and
when it is pruned depend on the fixed history alone (`lag`, history.py), so the table is the same however many take part.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from optuna.distributions import BaseDistribution
from optuna.exceptions import DuplicatedStudyError, UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from trivet import space
from trivet.search import constraints, pruning
from trivet.search.history import History
from trivet.search.rounds import Rounds, Searched, build
from trivet.search.samplers import ENUMERATING, INDEPENDENT, REPEATING, RULED, USES_PENDING
from trivet.search.sampling import Sampler, distribution, internal
from trivet.search.teaching import blank
from trivet.study import constrained, copies
from trivet.study.records import GIVEN_PARAMS, Claim, Official, Outcome, StudySpec
from trivet.study.runs import Runs, claim_attribute
from trivet.study.storage import batch, open_locks, open_storage
from trivet.study.view import GIVEN

MIN_TRIALS_FOR_FAILURE_RATE = 10
"""Finished trials before `max_failure_rate` is looked at: fewer say too little about the rate."""


class Study(Runs):
    """One worker's hold on a study. Opening it creates the study where it does not exist yet."""

    def __init__(self, spec: StudySpec, storage: BaseStorage | None = None) -> None:
        storage = storage or open_storage(spec.storage, spec.folder, spec.name, spec.storage_timeout)
        prior = [row["curve"] for row in spec.warm if row["curve"]] if spec.warm_prunes else []
        self._read_from(spec, storage, _study_in(storage, spec), History(pruning.build(spec.pruner), spec.maximize, prior))
        self._take_part()
        self.locks = open_locks(self.storage, self.study_id, spec.folder)
        self.sync()

    def _take_part(self) -> None:
        spec = self.spec
        samples = spec.sampler.name not in (*ENUMERATING, *RULED)
        self.sampler = Sampler(spec.sampler, spec.params, spec.directions, spec.seed, spec.defaults) if samples else None
        self.rounds = Rounds(_rule(spec), len(spec.explicit)) if spec.sampler.name in RULED else None
        self._searched = space.searched(spec.params)
        self._last_step: dict[int, int] = {}  # of the trials that this worker runs
        self._last_held: dict[int, list[float | None]] = {}  # their constrained metrics
        self._known = [self._warm_trial(i, row) for i, row in enumerate(spec.warm)]  # what samplers may learn of: then the settled ones
        self._n_failed = [0]  # among the first 0, 1, 2 ... settled trials
        self._sync_due = 0.0
        self._seen = copies.Seen()
        self._extend: Any = None  # custom_search_space, set by the worker

    def close(self) -> None:
        """Give up every claim and connection."""
        self.locks.close()
        super().close()

    def _has_ended(self, number: int, state: str) -> None:
        self.history.end(number, failed=state != "COMPLETE")

    def _has_settled(self, official: Official) -> None:
        self._known.append(official.trial)
        self._n_failed.append(self._n_failed[-1] + (official.state == "FAIL"))

    def _warm_trial(self, i: int, row: Mapping[str, Any]) -> FrozenTrial:
        """A row of an earlier table, declared in this study's ranges; parameters outside them were left out by the reader."""
        distributions = {name: distribution(self._searched[name]) for name in row["params"]}
        return FrozenTrial(
            number=i - len(self.spec.warm),
            trial_id=1_000_000_000 + i,
            state=TrialState[row["state"]],
            value=None,
            values=list(row["values"]) or None,
            datetime_start=datetime.min,
            datetime_complete=datetime.min,
            params={name: internal(self._searched[name], value) for name, value in row["params"].items()},
            distributions=distributions,
            user_attrs={},
            system_attrs=constraints.attributes(self.spec.constraints, [None] * len(self.spec.constraints)),
            intermediate_values={int(s): v for s, v in row["curve"]},
        )

    # Claiming ------------------------------------------------------------------------------------------------------------

    def claim(self, worker: str) -> Claim | Literal["wait"] | str:
        """Take the next trial: one whose worker is gone, or a new one. Of trials that have replicates: the next run of one that is begun, a
        new trial's first, or one ahead of its turn.

        Returns "wait" while the fixed history of the next trial is not complete or the last trials still run elsewhere, or
        `stop: <reason>` when none is left to begin or to finish.
        """
        with self.locks.mutex():
            self.sync()
            taken = self._take_over(worker)
            if taken is not None:
                return taken
            number = len(self.trials)
            reason = self._stop_reason(number)
            if reason is not None or not self._may_begin(number):
                ahead = self._take_over(worker, ahead=True) if self.spec.replicates is not None else None
                # Trials that still run elsewhere may yet need a worker, and the table needs their rows.
                return ahead or ("wait" if reason is None or self._stored.unfinished else f"stop: {reason}")
            self._create(number, worker)
            replicate = None if self.spec.replicates is None else 0
            # The next trial's sample needs the parameters of this one, or other workers do that run its replicates.
            if self.spec.sampler.name in USES_PENDING or replicate is not None:
                return self._proposal(number, resumed=False, replicate=replicate)
        return self._proposal(number, resumed=False)

    def _may_begin(self, number: int) -> bool:
        if self.rounds is not None and number >= len(self.spec.explicit) and not self.rounds.is_known(number, self._official):
            return False
        if self.spec.replicates is not None and self.spec.replicates.race is not None:
            return True  # no trial of a race is over before all have begun
        independent = self.spec.sampler.name in INDEPENDENT or number < len(self.spec.explicit)
        if independent and not self.spec.stop.has_rules and self.spec.max_failure_rate >= 1:
            return True
        return self.history.n_settled >= number - self.spec.lag

    def _stop_reason(self, number: int) -> str | None:
        """Why trial `number` is not to begin, from the fixed history of that trial."""
        stop = self.spec.stop
        if number >= stop.n_trials:
            return "n_trials"
        if self.spec.deadline is not None and time.time() >= self.spec.deadline:
            return "seconds"
        if self.rounds is not None and number >= len(self.spec.explicit) and self.rounds.is_over(number, self._official):
            return "rule"
        n_known = max(0, number - self.spec.lag)
        if len(self._official) < n_known:
            return None  # the rules speak of the whole fixed history or not at all
        if n_known >= MIN_TRIALS_FOR_FAILURE_RATE and self._n_failed[n_known] / n_known > self.spec.max_failure_rate:
            return "failure_rate"
        return stop.reason(self._official[:n_known], self.spec.maximize) if stop.has_rules else None

    def failed_too_often(self) -> bool:
        """Whether, of a study that is over, more than max_failure_rate of the trials failed."""
        trials = self.finished()
        return bool(trials) and sum(t.state == "FAIL" for t in trials) / len(trials) > self.spec.max_failure_rate

    def _create(self, number: int, worker: str) -> None:
        claim = {"session": self.spec.session, "worker": worker, "deaths": 0, "step": 0, "since": time.time()}
        claims = {"trivet:claim": claim} | ({claim_attribute(0): claim} if self.spec.replicates is not None else {})
        template = FrozenTrial(
            number=-1,
            trial_id=-1,
            state=TrialState.RUNNING,
            value=None,
            datetime_start=datetime.now(),
            datetime_complete=None,
            params={},
            distributions={},
            user_attrs=claims,
            system_attrs={},
            intermediate_values={},
        )
        self.storage.create_new_trial(self.study_id, template)
        self.sync()
        if not self.locks.acquire(self.spec.run_of(number)):
            raise RuntimeError(f"trial {number} is new, yet its lock is held")

    def _take_over(self, worker: str, ahead: bool = False) -> Claim | None:
        """Continue the first trial that runs nowhere; settle those that need no more running."""
        if self._stored.unfinished and self._owners_may_return():
            return None
        if self.spec.replicates is not None:
            return self._take_run(worker, ahead)
        for number in list(self._stored.unfinished):
            if "trivet:end" in self.trials[number].user_attrs and not self.history.curve(number).final:
                continue  # it ran to its end; its verdict waits for an earlier trial
            if not self.locks.acquire(number):
                continue
            self.sync()
            trial = self.trials[number]
            if trial.state.is_finished():
                self.locks.release(number)
            elif self.history.curve(number).final:
                self._settle(number)
                self.locks.release(number)
            elif "trivet:end" in trial.user_attrs:
                self.locks.release(number)
            elif self._died_too_often(number, worker):
                reason = f"its worker died {self.spec.max_restarts + 1} times without a new step"
                self._write_end(number, Outcome("FAIL", reason=reason), self.left_behind(number))
                self.locks.release(number)
            else:
                return self._proposal(number, resumed=True)
        return None

    def _owners_may_return(self) -> bool:
        """Whether workers that lost their locks with a server that was restarted may be on their way back to their trials."""
        return self.files is not None and self.locks.owners_may_return()

    def _died_too_often(self, number: int, worker: str) -> bool:
        """Count a death where a worker of this same sweep left the trial; deaths of whole sweeps are not the trial's fault."""
        trial = self.trials[number]
        last = trial.user_attrs.get("trivet:claim", {"session": "", "deaths": 0, "step": 0})
        step = max(trial.intermediate_values, default=0)
        deaths = int(last["deaths"]) if step <= int(last["step"]) else 0
        deaths += last["session"] == self.spec.session
        claim = {"session": self.spec.session, "worker": worker, "deaths": deaths, "step": step, "since": time.time()}
        self.storage.set_trial_user_attr(trial._trial_id, "trivet:claim", claim)
        return deaths > self.spec.max_restarts

    def _proposal(self, number: int, resumed: bool, replicate: int | None = None) -> Claim:
        """Sample the trial (or look it up) and write its parameters."""
        trial = self.trials[number]
        explicit = self.given(number)
        if explicit is None and self.rounds is not None:
            explicit = self._by_rule(number)
        if explicit is not None:
            sampled = None
            given = {n: v for n, v in explicit["params"].items() if n in self._searched and space.contains(self._searched[n], v)}
            wanted = {n: internal(self._searched[n], v) for n, v in given.items()}
            distributions = {n: distribution(self._searched[n]) for n in wanted}
        else:
            assert self.sampler is not None
            n_known = max(0, number - self.spec.lag)
            known: list[FrozenTrial] = []
            if self.spec.sampler.name not in INDEPENDENT:
                known = self._known[: len(self.spec.warm) + n_known]
            pending = [self._begun(n) for n in range(n_known, number)] if self.spec.sampler.name in USES_PENDING else []
            sampled = self.sampler.ask(number, known, self._extend, pending)
            wanted, distributions = sampled.params, sampled.distributions
        self._write_params(trial, wanted, distributions, sampled.system_attrs if sampled else {}, explicit)
        self._last_step[number] = max(trial.intermediate_values, default=0)
        return Claim(number, resumed, self._copied(number, explicit), replicate)

    def _by_rule(self, number: int) -> Mapping[str, Any]:
        """The trial as the rule gives it, written down: whoever reads the study later knows no rule."""
        assert self.rounds is not None
        given = self.rounds.propose(number, self._official, self.spec.lag, self.params_of)
        self.storage.set_trial_user_attr(self.trials[number]._trial_id, GIVEN, dict(given))
        self.sync()
        return given

    def _copied(self, number: int, explicit: Mapping[str, Any] | None) -> copies.Copied | None:
        """What the trial takes over instead of training: of an earlier study, or of the first trial of its fixed history like it."""
        if explicit is not None and number < len(self.spec.explicit):
            kept = explicit.get("kept")
            return copies.Copied(**kept) if kept is not None else None
        if not self.spec.reuse or self.spec.sampler.name in (*INDEPENDENT, *REPEATING):
            return None
        first = self._seen.first(self.params_of(number), self._official, number - self.spec.lag)
        return copies.copy_of(self, first) if first is not None else None

    def _begun(self, number: int) -> FrozenTrial:
        """A trial as one that is sampled while it runs may know it: its parameters, whatever has become of it since."""
        trial = self.trials[number]
        return blank(number, trial.params, trial.distributions)

    def _write_params(
        self,
        trial: FrozenTrial,
        wanted: Mapping[str, Any],
        distributions: Mapping[str, BaseDistribution],
        attrs: Mapping[str, Any],
        explicit: Mapping[str, Any] | None,
    ) -> None:
        """Write what the storage lacks: a worker that was killed while it wrote may have left a part."""
        params = {n: v for n, v in wanted.items() if n not in trial.params}
        attrs = {k: v for k, v in attrs.items() if k not in trial.system_attrs}
        # Values outside the ranges: Optuna cannot hold them.
        outside = explicit is not None and len(wanted) < len(explicit["params"]) and GIVEN_PARAMS not in trial.user_attrs
        if not params and not attrs and not outside:
            return
        with batch(self.storage):
            if explicit is not None and outside:
                self.storage.set_trial_user_attr(trial._trial_id, GIVEN_PARAMS, dict(explicit["params"]))
            for name, value in params.items():
                dist = distributions[name]
                self.storage.set_trial_param(trial._trial_id, name, dist.to_internal_repr(value), dist)
            for key, value in attrs.items():
                self.storage.set_trial_system_attr(trial._trial_id, key, value)
        self.sync()

    # Running -------------------------------------------------------------------------------------------------------------

    def report(self, number: int, step: int, value: float, held: constraints.Values = (), attrs: Mapping[str, Any] | None = None) -> bool:
        """Record a value of this worker's trial; True when the trial is to stop. `held`: its constrained metrics, as known by then; `attrs`
        are stored with it.

        A step that is not later than the last one changes nothing: a trial that goes on after a kill reports some again.
        """
        if self.is_lost(number):
            return True
        trial = self.trials[number]
        if step > self._last_step.get(number, 0) and not trial.state.is_finished():
            self._last_step[number] = step
            with contextlib.suppress(UpdateFinishedTrialError), batch(self.storage):
                for key, known in (attrs or {}).items():
                    self.storage.set_trial_user_attr(trial._trial_id, key, known)
                self._hold(trial, step, held)
                self.storage.set_trial_intermediate_value(trial._trial_id, step, value)
        self._hear_news()
        return self.history.curve(number).pruned_at is not None

    def _hold(self, trial: FrozenTrial, step: int, held: constraints.Values) -> None:
        """Keep the constrained metrics of a step, where one of them is another than before."""
        if not self.spec.constraints or not held:
            return
        before = self._last_held.get(trial.number) or constrained.known(self.spec.constraints, trial.user_attrs, step)
        if list(held) != before:
            self.storage.set_trial_user_attr(trial._trial_id, constrained.attribute(step), list(held))
        self._last_held[trial.number] = list(held)

    def tell(self, number: int, outcome: Outcome, attrs: Mapping[str, Any] | None = None) -> None:
        """End this worker's trial and give its claim back. `attrs` are stored with it."""
        self.sync()
        trial = self.trials[number]
        if not trial.state.is_finished() and not self.is_lost(number):
            self._keep_files(number, str(number), (attrs or {}).get("trivet:folder", str(number)))
            with contextlib.suppress(UpdateFinishedTrialError):
                self._write_end(number, outcome, attrs or {})
        self.locks.release(self.spec.run_of(number))

    def leave(self, number: int) -> None:
        """Give back the claim of a trial that is to go on in another sweep: its interruption is none of the trial's deaths."""
        trial = self.trials[number]
        claim = {**trial.user_attrs.get("trivet:claim", {}), "session": ""}
        self.storage.set_trial_user_attr(trial._trial_id, "trivet:claim", claim)
        self.locks.release(number)

    def why_stopped(self) -> str | None:
        """Why no further trial is to begin; None while trials are left to begin or to finish."""
        self.sync()
        return None if self._stored.unfinished else self._stop_reason(len(self.trials))


def _study_in(storage: BaseStorage, spec: StudySpec) -> int:
    """The study's id, made where there is none."""
    directions = [StudyDirection.MAXIMIZE if d == "maximize" else StudyDirection.MINIMIZE for d in spec.directions]
    with contextlib.suppress(DuplicatedStudyError):
        return storage.create_new_study(directions, spec.name)
    return storage.get_study_id_from_name(spec.name)


def _rule(spec: StudySpec) -> Any:
    searched = Searched(spec.params, spec.defaults, spec.directions, spec.seed)
    return build(spec.sampler.name, spec.sampler.arguments, searched)
