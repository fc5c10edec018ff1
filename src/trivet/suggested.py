"""Code written for Optuna in a Hydra app: `suggest_*` read the config that the sweep has sampled, `report` and `should_prune` work as ever.

@hydra.main(config_path="conf", config_name="config", version_base="1.3")
def main(config):
    return objective(trivet.trial(config))          # objective(trial) as it was, `study.optimize` left out
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trivet import reports
from trivet.errors import UserError


def trial(config: Mapping[str, Any], first_step: int = 0) -> ConfigTrial:
    """An object for functions that take an `optuna.Trial`. `config`: a Hydra config or a mapping, nested names dotted.

    `first_step`: from where its loop counts what it reports. 0, as Optuna's own pruners assume: step 0 is then the study's step 1.
    """
    return ConfigTrial(config, first_step)


class ConfigTrial:
    """`suggest_*(name, ...)` return the config's value at `name`; where it searches is said in the config, not in the call.

    `report` never raises for pruning: `should_prune` says it, as in Optuna. Raises `UserError` for a name that the config lacks, a value
    that is not of the kind asked for, or one outside the bounds or choices given.
    """

    def __init__(self, config: Mapping[str, Any], first_step: int = 0) -> None:
        self._config = config
        self._shift = 1 - first_step
        self._pruned = False
        self.params: dict[str, Any] = {}

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False) -> float:
        """The config's number at `name`, which must lie in [low, high]; `step` and `log` belong to the sampler, so the sweep's count."""
        value = self._read(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise UserError(f"{name}={value!r}: must be a number from {low} to {high}, as suggest_float says; mend the config's range")
        return self._keep(name, float(value))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """The config's whole number at `name`, which must lie in [low, high]."""
        value = self._read(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value) or not low <= value <= high:
            raise UserError(f"{name}={value!r}: must be a whole number from {low} to {high}, as suggest_int says; mend the config's range")
        return self._keep(name, int(value))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """The config's value at `name`, which must be one of `choices`."""
        value = self._read(name)
        if value not in choices:
            raise UserError(f"{name}={value!r}: must be one of {', '.join(map(str, choices))}, as suggest_categorical says")
        return self._keep(name, value)

    def report(self, value: float, step: int) -> None:
        """Tell the study a value at `step`, counted from `first_step` (see `trivet.report`)."""
        try:
            reports.report(value, step + self._shift)
        except reports.TrialPruned:
            self._pruned = True

    def should_prune(self) -> bool:
        """Whether the trial is to stop: raise `optuna.TrialPruned` or `trivet.TrialPruned`."""
        return self._pruned

    @property
    def number(self) -> int:
        """The trial's number in its sweep; 0 outside one."""
        from hydra.core.hydra_config import HydraConfig
        from omegaconf import OmegaConf

        if not HydraConfig.initialized() or OmegaConf.is_missing(HydraConfig.get().job, "num"):
            return 0
        return int(HydraConfig.get().job.num)

    def _keep(self, name: str, value: Any) -> Any:
        self.params[name] = value
        return value

    def _read(self, name: str) -> Any:
        node: Any = self._config
        for part in name.split("."):
            node = node.get(part) if hasattr(node, "get") else None
        if node is None:
            raise UserError(f"{name}: is not in the config; add it with a default, and give its range under hydra.sweeper.params")
        return node
