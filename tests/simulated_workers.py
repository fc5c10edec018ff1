"""Workers of a study without processes: each holds a `Study` of its own and advances one action at a time, as a scheduler says.

`flock` between two open files of one process excludes like between processes, so claims work as they do outside. A killed worker
is one whose files are closed by force, as the kernel would, with nothing told.
"""

import contextlib
import math
import os
import random
import uuid
from dataclasses import replace

from trivet import space
from trivet.search.samplers import SamplerSpec
from trivet.search.stopping import StopRules
from trivet.study import copies, tables
from trivet.study.locks import _open as holders
from trivet.study.records import Claim, Outcome, StudySpec
from trivet.study.study import Study

PARAMS = (
    space.Param("x", space.Float(-5.0, 5.0)),
    space.Param("kind", space.Choice(("a", "b", None))),
    space.Param("lr", space.Float(1e-4, 1.0, log=True), (("kind", "a"),)),
    space.Param("depth", space.Int(1, 9), (("kind", "b"),)),
    space.Param("flag", space.Choice((True, False, 1)), (("kind", "b"),)),
)
N_STEPS = 6


class Killed(BaseException):
    """A worker dies here."""


def spec_of(folder, sampler="tpe", pruner=None, n_trials=20, **changes):
    """A study over PARAMS; `sampler` is a name or (name, arguments)."""
    name, arguments = (sampler, {}) if isinstance(sampler, str) else sampler
    stop = changes.pop("stop", {})
    given = {"directions": ("maximize",), "params": PARAMS, "seed": 3, "lag": 3, "max_failure_rate": 1.0, "groups": ("kind",)}
    return StudySpec(
        name="study",
        folder=str(folder),
        sampler=SamplerSpec(name, arguments),
        pruner={"name": pruner} if isinstance(pruner, str) else pruner,
        stop=StopRules(n_trials=n_trials, **stop),
        session=uuid.uuid4().hex,
        **{**given, **changes},
    )


def quality(params):
    """How good a configuration is, up to 1."""
    by_key = {name.partition(" [")[0]: value for name, value in params.items()}
    score = 1.0 - 0.1 * (by_key.get("x", 0.0) - 1.0) ** 2
    score += {"a": 0.0, "b": -0.2, None: -0.5}[by_key.get("kind")]
    if "lr" in by_key:
        score -= 0.2 * abs(math.log10(by_key["lr"]) + 2)
    return score - 0.05 * abs(by_key.get("depth", 5) - 5)


def curve_of(number, params, n_steps=N_STEPS):
    """What a trial does: (rows, outcome). A function of its parameters and its number; some skip steps, report NaN, fail or stop."""
    rng = random.Random(f"{number}:{sorted((k, repr(v)) for k, v in params.items())}")
    top = quality(params)
    rows = [(s, top * (1 - 0.6**s) + 0.05 * rng.random()) for s in range(1, n_steps + 1)]
    kind = rng.random()
    if kind < 0.1:
        rows = [row for row in rows if rng.random() < 0.6]
    elif kind < 0.15:
        rows = [(s, math.nan if rng.random() < 0.4 else v) for s, v in rows]
    if kind > 0.9:
        return rows[: rng.randrange(n_steps)], Outcome("FAIL", reason="diverged: loss is nan")
    if kind > 0.87:
        return rows[:2], Outcome("PRUNED", reason="raised TrialPruned itself")
    if kind > 0.85:
        return [], Outcome("COMPLETE", (top,))
    best = max((v for _, v in rows if not math.isnan(v)), default=None)
    return rows, Outcome("FAIL", reason="diverged: nan") if best is None else Outcome("COMPLETE", (best,))


def two_objectives(number, params):
    """Two objectives that pull apart, and a report on the way."""
    rows, outcome = curve_of(number, params)
    if outcome.state == "COMPLETE":
        outcome = Outcome("COMPLETE", (outcome.values[0], abs(params["x"])))
    return rows, outcome


class SimulatedWorker:
    """One worker. `advance()` does its next action and returns what it was; `trial(number, params)` is (rows, outcome)."""

    def __init__(self, spec, name="worker-0", rng=None, trial=curve_of, die_at=None, torn=False):
        self.name, self.rng, self.trial = name, rng or random.Random(0), trial
        self.n_appends, self.die_at, self.torn = 0, die_at, torn
        self.over = None  # why it stopped
        self.claimed = None
        self.study = Study(spec)
        self._backend = self.study.storage._backend if spec.storage is None else None  # a database has no journal
        if self._backend is not None:
            self._append, self._backend.append_logs = self._backend.append_logs, self._append_or_die
        self._actions = self._work()

    def _append_or_die(self, logs):
        backend = self.study.storage._backend if hasattr(self, "study") else None
        if backend is None or backend._held is not None:
            return self._append(logs)
        self.n_appends += 1
        if self.die_at is not None and self.n_appends == self.die_at:
            if self.torn:  # a part of what it had to write is there
                import json

                data = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs).encode()
                end = os.fstat(backend._fd).st_size
                os.pwrite(backend._fd, data[: self.rng.randrange(1, len(data))], end)
            raise Killed
        return self._append(logs)

    def _work(self):
        while True:
            claim = self.study.claim(self.name)
            if not isinstance(claim, Claim):
                if claim != "wait":
                    self.over = claim
                yield claim
                continue
            self.claimed = claim.number
            yield claim
            if claim.copied is not None:
                copies.finish(self.study, claim.number, claim.copied, self.name)
                self.claimed = None
                yield "copied"
                continue
            rows, outcome = self.trial(claim.number, self.study.params_of(claim.number))
            for step, value in rows:
                self.study._sync_due = 0.0 if self.rng.random() < 0.5 else math.inf
                if self.study.report(claim.number, step, value):
                    outcome = Outcome("PRUNED")
                    break
                yield step
            self.study.tell(claim.number, outcome)
            self.claimed = None
            yield outcome

    def advance(self):
        return next(self._actions)

    def kill(self):
        """End it as SIGKILL would: locks are dropped by the kernel, and nothing is told."""
        self._actions.close()
        locks = self.study.locks
        for fd in [*locks._held.values(), locks._mutex, *([self._backend._fd] if self._backend is not None else [])]:
            with contextlib.suppress(OSError):
                os.close(fd)
        locks._held.clear()
        holders.discard(locks)  # the dead have no forks: the numbers of its files come to mean other files of this process

    def run(self):
        """Work until nothing is left to begin."""
        while self.over is None:
            if self.advance() == "wait":
                raise AssertionError("a lone worker never waits")
        self.close()
        return self.over

    def close(self):
        self.study.settle_all()
        self.study.close()
        if self._backend is not None:
            os.close(self._backend._fd)


def run_together(*workers):
    """Each as far as it gets, in turns, until nothing is left."""
    while any(worker.over is None for worker in workers):
        for worker in workers:
            while worker.over is None and worker.advance() != "wait":
                pass
    for worker in workers:
        worker.close()


def table(spec, upto="seconds"):
    """trials.csv and curves.csv of a study as rows, the reproducible columns."""
    study = Study(replace(spec, session="reader"))
    study.settle_all()
    trials = study.finished()
    header, rows = tables.trial_rows(study, trials)
    cut = header.index(upto)
    result = [header[:cut], *(row[:cut] for row in rows)], tables.curve_rows(study, trials)
    study.close()
    if spec.storage is None:
        os.close(study.storage._backend._fd)
    return result


def run_alone(spec, trial=curve_of):
    """The study run by one worker in one go; returns its table."""
    SimulatedWorker(spec, trial=trial).run()
    return table(spec)


def run_scheduled(spec, rng, n_workers=3, p_kill=0.0, trial=curve_of, watch=None):
    """The study run by `n_workers` in a random order of actions, each action a kill with probability `p_kill`; returns its table.

    `watch(workers, worker, action)` is called after each action.
    """
    spec = replace(spec, session=uuid.uuid4().hex)
    workers = [SimulatedWorker(spec, f"worker-{i}", rng, trial) for i in range(n_workers)]
    while any(w.over is None for w in workers):
        i = rng.choice([i for i, w in enumerate(workers) if w.over is None])
        if rng.random() < p_kill:
            workers[i].kill()
            spec = replace(spec, session=uuid.uuid4().hex)  # deaths of a whole sweep do not count against a trial
            workers[i] = SimulatedWorker(spec, f"worker-{i}", rng, trial)
            continue
        action = workers[i].advance()
        if watch is not None:
            watch(workers, workers[i], action)
    for worker in workers:
        worker.close()
    return table(spec)
