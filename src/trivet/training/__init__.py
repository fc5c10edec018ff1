"""Train one configuration, keep its best weights, load them and predict. Knows neither Hydra nor Optuna.

    data = trivet.data.load("data/prepared", "cpu")
    result = train(config, data)                      # config: the composed config as a plain dict
    save_model("model.pt", config, result, data.meta)
    load_model("model.pt").predict(x)                 # x: raw, as it was before preparation

settings.py checks the config and fixes the process's state; run.py trains; checkpoint.py keeps a run on disk; saved.py its result, which
predictor.py uses.
"""

from trivet.training.predictor import Predictor, evaluate
from trivet.training.run import Result, Run, check_config, train
from trivet.training.saved import load_model, save_model, targets_in
from trivet.training.settings import pick_device, reproducible
from trivet.training.startup import keep_compiler_out

keep_compiler_out()

__all__ = [
    "Predictor",
    "Result",
    "Run",
    "check_config",
    "evaluate",
    "load_model",
    "pick_device",
    "reproducible",
    "save_model",
    "targets_in",
    "train",
]
