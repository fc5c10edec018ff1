"""What a study is made of, as plain data: its spec and stop rules, a claim, a trial's outcome, and the official record of a trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from optuna.trial import FrozenTrial, TrialState

from trivet import secrets, space
from trivet.copied import is_copy
from trivet.errors import UserError
from trivet.search.constraints import Constraint
from trivet.search.replicates import Replicates
from trivet.search.samplers import SamplerSpec
from trivet.search.stopping import StopRules
from trivet.search.weights import Weights

State = Literal["COMPLETE", "PRUNED", "FAIL"]
Kept = Literal[State, "INFEASIBLE"]
"""What the record says: INFEASIBLE for a trial that completed or was pruned, and breaks a constraint."""
STATES: tuple[State, ...] = ("COMPLETE", "PRUNED", "FAIL")
GIVEN_PARAMS = "trivet:params"
"""The attribute of a trial that was given values outside the study's ranges, which Optuna cannot hold as parameters: all its parameters."""
REASON = "trivet:reason"
"""The attribute that says why a trial did not complete."""
LAST_STEP = "trivet:step"
"""The attribute with the last step that counts."""


def ended(name: str) -> State:
    """How a trial ended, from the name of its state. Raises `UserError` for any other word."""
    state = next((state for state in STATES if state == name), None)
    if state is None:
        raise UserError(f"state={name}: no state of a trial that has ended; there are {', '.join(STATES)}")
    return state


@dataclass(frozen=True)
class StudySpec:
    """Everything that workers must agree on. Plain values only: it travels to other processes and machines."""

    name: str
    folder: str
    directions: tuple[str, ...]
    params: tuple[space.Param, ...]
    sampler: SamplerSpec
    pruner: Mapping[str, Any] | None
    seed: int
    stop: StopRules
    lag: int = 3
    defaults: Mapping[str, Any] = field(default_factory=dict)  # the default configuration, by parameter name
    groups: tuple[str, ...] = ()  # parameters that are choices of a config group
    storage: str | None = None  # None: a journal in the folder; else a database URL
    explicit: tuple[Mapping[str, Any], ...] = ()  # given outright: {"params": {name: value}, "overrides": [...] | None, "attrs": {...}}
    warm: tuple[Mapping[str, Any], ...] = ()  # earlier knowledge: {"params", "state", "values", "curve": [[step, value], ...]}
    warm_prunes: bool = False
    constraints: tuple[Constraint, ...] = ()
    replicates: Replicates | None = None
    weights: Weights | None = None  # of several objectives, of which one is made
    reuse: bool = False  # a proposal whose configuration has a result already is not trained: see copies.py
    storage_timeout: float = 60.0  # seconds for which a server that is gone is tried again
    keep_files: tuple[str, ...] = ()  # files of a trial's folder that are published
    max_failure_rate: float = 0.5
    max_restarts: int = 3
    session: str = ""
    deadline: float | None = None  # time.time() at which `stop.seconds` is used up

    @property
    def n_objectives(self) -> int:
        """How many objectives a run returns: weights make one of several."""
        return len(self.directions if self.weights is None else self.weights.directions)

    @property
    def n_runs(self) -> int:
        """How many runs a trial has: its replicates."""
        return 1 if self.replicates is None else len(self.replicates.values)

    def run_of(self, number: int, replicate: int | None = None) -> int:
        """The number of a run among those of all trials, by which it is locked and listed; that of trial `number` where each has one."""
        return number * self.n_runs + (replicate or 0)

    def place_of(self, run: int) -> str:
        """The folder of a run, within the study's: `<trial>`, or `<trial>/<replicate>`."""
        number, replicate = divmod(run, self.n_runs)
        return str(number) if self.replicates is None else f"{number}/{replicate}"

    @property
    def maximize(self) -> bool:
        """Whether the (first) objective is maximised."""
        return self.directions[0] == "maximize"


@dataclass(frozen=True)
class Claim:
    """A trial that this worker is to run, or one of its replicates. `resumed`: another worker began it and is gone. `copied`
    (copies.Copied): nothing to train."""

    number: int
    resumed: bool
    copied: Any = None
    replicate: int | None = None


@dataclass
class Official:
    """A finished trial as the record has it. INFEASIBLE: it completed or was pruned, and breaks a constraint."""

    number: int
    state: Kept
    values: list[float]
    reason: str
    curve: list[tuple[int, float]]
    params: dict[str, Any]  # by name
    trial: FrozenTrial = field(repr=False)
    metrics: Mapping[str, Any] = field(default_factory=dict, repr=False)  # {"columns": [...], "rows": [[step, ...], ...]}, or nothing
    runs: Sequence[Mapping[str, Any]] = field(default=(), repr=False)  # of its replicates, as far as they count
    constrained: Sequence[float | None] = ()  # the metrics that constraints speak of, one each
    begin: int = 0  # the last step of the trial whose checkpoint it went on from

    @property
    def step(self) -> int:
        """The last reported step; 0 where nothing was reported."""
        return self.curve[-1][0] if self.curve else 0

    @property
    def stopped(self) -> bool:
        """Whether a pruner stopped it, infeasible or not."""
        return self.trial.state == TrialState.PRUNED

    @property
    def cost(self) -> int:
        """The steps that were trained for it: none for a copy, and not those of the trial that it went on from."""
        return 0 if is_copy(self.state, self.reason) else max(0, self.step - self.begin)


@dataclass(frozen=True)
class Outcome:
    """How a trial's function ended. The reason is one printable line, whatever it is made of."""

    state: State
    values: tuple[float, ...] = ()
    reason: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)  # returned beside the objective

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", secrets.line(self.reason))
