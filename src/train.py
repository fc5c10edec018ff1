"""Train one configuration, or sweep over many; the objective is returned to whoever asked.

python src/train.py                                          # the defaults of conf/
python src/train.py optimizer=sgd optimizer.lr=0.05 save_model=true
python src/train.py -m hparams=search                        # a sweep; conf/hparams names the others
python src/train.py hparams=lr_range                         # which learning rates work at all
"""

import contextlib
import logging
import sys
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.utils import to_absolute_path
from omegaconf import DictConfig, OmegaConf

import trivet

log = logging.getLogger(__name__)


@hydra.main(version_base="1.3", config_path="../conf", config_name="config")
def main(config: DictConfig) -> float | list[float]:
    """One run in its own Hydra folder. A single run says what is wrong in one line; in a sweep the sweeper hears of it."""
    single = OmegaConf.is_missing(HydraConfig.get().job, "num")
    try:
        plain: Any = OmegaConf.to_container(config, resolve=True)
        return run(plain, Path(HydraConfig.get().runtime.output_dir), single)
    except trivet.UserError as error:
        if not single:
            raise
        leave(str(error), 2)
    except trivet.Diverged as error:
        if single:
            leave(f"diverged: {error}. Try a lower optimizer.lr, or clip_norm=1", 1)
        if HydraConfig.get().sweeper._target_.startswith("hydra_plugins.trivet") or config.objectives:
            raise
        log.warning("diverged: %s", error)  # other sweepers end at an exception, and at NaN: the worst value keeps them going
        return float("-inf" if config.direction == "maximize" else "inf")


def run(config: dict, folder: Path, single: bool) -> float | list[float]:
    """Check, load, train, keep what is asked for. Returns the objective at its best epoch, with `objectives` a list of all."""
    from trivet import data, training  # here, so that a sweep's parent process starts without torch
    from trivet.data import prepared
    from trivet.training import console

    training.check_config(config)
    device = training.pick_device(config["device"])
    outer = config["data"].get("outer_folds"), config["data"].get("outer_fold", 0)
    parts = config["data"].get("folds"), config["data"].get("fold", 0), outer if outer[0] is not None else None
    loaded = data.load(prepared.folder_for(config["data"], Path(to_absolute_path("."))), device, *parts)
    if config.get("lr_range") is not None:
        from trivet.training import lr_range

        return lr_range.run(config, loaded, folder, dict(HydraConfig.get().runtime.choices))
    table = console.EpochTable(config["direction"])

    def report(value: float, step: int, metrics: dict[str, float]) -> None:
        if single:
            table(value, step, metrics)
        further = [metrics[name] for name in config["objectives"]]
        trivet.report([value, *further] if further else value, step, metrics)

    with console.profiled(folder, device.type) if config.get("profile") else contextlib.nullcontext():
        result = training.train(config, loaded, report, folder, trivet.start_from())
    if single:
        console.write_curves(folder / "curves.csv", result.curves)
    if config["save_model"]:
        training.save_model(folder / "model.pt", config, result, loaded.meta)
    log.info("%s %.6g at epoch %d of %d", config["metric"], result.value, result.best_step, len(result.curves))
    return result.objectives(config)


def leave(message: str, status: int) -> NoReturn:
    """End the process with one line."""
    print(f"error: {message}", file=sys.stderr)
    sys.exit(status)


def check_optuna() -> None:
    """The stock sweeper's own requirement pulls Optuna 2 into an environment that is not made from our lock file."""
    try:
        version = metadata.version("optuna")
    except metadata.PackageNotFoundError:
        leave("Optuna is not installed; run `make setup`", 2)
    if int(version.partition(".")[0]) < 5:
        leave(f"Optuna {version} is installed, and Trivet needs 5 or later; run `make setup`", 2)


if __name__ == "__main__":
    check_optuna()
    main()
