"""model.pt: the weights, the configuration and what is known of the data. Whoever sends such a file does not choose what runs here.

save_model("model.pt", config, result, data.meta)
load_model("model.pt")                                   # builds a model of models.py, and nothing else
load_model("model.pt", allow=["my.models.Net"])          # or this class of one's own, where the file asks for it
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor, nn

from trivet.errors import UserError
from trivet.options import ListOf, OneOf, Real, Whole, show
from trivet.training import losses, metrics, models
from trivet.training.checkpoint import write_whole
from trivet.training.predictor import Predictor
from trivet.training.settings import FIELDS, pick_device

PLAIN = (str, int, float, bool, type(None))
MAX_DEPTH = 20  # of the containers in a file; a container may hold itself
META: dict[str, Any] = {
    "task": OneOf(tuple(metrics.NAMES)),
    "input_shape": ListOf(Whole(1)),
    "mean": ListOf(Real()),
    "std": ListOf(Real(0, open="low")),
}
OF_TASK: dict[str, dict[str, Any]] = {
    "classification": {"n_classes": Whole(1)},
    "regression": {"y_mean": ListOf(Real()), "y_std": ListOf(Real())},
}


def save_model(path: str | Path, config: Mapping[str, Any], result: Any, meta: Mapping[str, Any]) -> None:
    """Write config, best weights and what is known of the data to `path`, in one piece. `result`: a Result, or a state_dict.

    UserError for a config or meta with anything but numbers, texts, lists and mappings in it: it could not be loaded again.
    """
    state = getattr(result, "state", result)
    content = {
        "config": plain(config, "config"),
        "state_dict": {name: value.detach().cpu() for name, value in state.items()},
        "meta": plain(meta, "meta"),
    }
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_whole(content, Path(path))


def load_model(path: str | Path, device: str = "cpu", allow: Sequence[str] = ()) -> Predictor:
    """The model that `save_model` wrote, on `device` (auto, cpu, cuda, mps).

    Runs no code that the file names: a model of one's own (`model._target_`) is built only when its import path is in `allow`. UserError
    for any other, and for what is no such file.
    """
    target = pick_device(device)
    config, state, meta = _read(Path(path))
    try:
        _check(config, meta)
        named = config["model"].get("_target_")
        if named is not None:
            _check_allowed(named, [allow] if isinstance(allow, str) else allow)
        else:
            _check_weights(config["model"], state, meta)
        model = models.build(config["model"], meta)
        model.load_state_dict(state)
        return Predictor(model.to(target), config, meta, target)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except (RuntimeError, TypeError, ValueError, KeyError, OverflowError, MemoryError) as error:
        raise _no_model(path, error) from error


def _no_model(path: str | Path, error: Exception) -> UserError:
    return UserError(f"{path}: is not a model that Trivet saved ({type(error).__name__}); train it again")


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor], dict[str, Any]]:
    """Config, weights and meta, of the types that they must have."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        config, state, meta = plain(content["config"], "config"), content["state_dict"], plain(content["meta"], "meta")
        if not (isinstance(config, dict) and isinstance(meta, dict) and isinstance(config["model"], dict) and isinstance(state, dict)):
            raise TypeError
        if not all(isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items()):
            raise TypeError
        return config, state, meta
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; `python src/train.py save_model=true` or the pipeline writes a model.pt") from None
    except PermissionError:
        raise UserError(f"{path}: may not be read by this user; change its permissions") from None
    except Exception as error:  # torch's reader raises struct.error, IndexError and what not on a file that is something else
        raise _no_model(path, error) from error


def plain(value: Any, where: str, depth: int = 0) -> Any:
    """Nested mappings and sequences of plain values as dict and list, numpy's numbers as Python's. UserError for anything else."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, PLAIN):
        return value
    if depth > MAX_DEPTH:
        raise UserError(f"{where}: is nested more than {MAX_DEPTH} deep")
    if isinstance(value, Mapping):
        return {str(key): plain(item, f"{where}.{show(key)}", depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, where, depth + 1) for item in value]
    raise UserError(f"{where}: is a {type(value).__name__}; must be a number, a text, true, false, null, a list or a mapping")


def _check(config: Mapping[str, Any], meta: Mapping[str, Any]) -> None:
    """UserError where the file's config or meta could not be of a training."""
    for fields in (META, OF_TASK.get(meta["task"], {}) if isinstance(meta.get("task"), str) else {}):
        for key, field in fields.items():
            if not field.accepts(meta.get(key)):
                raise UserError(f"meta.{key}={show(meta.get(key))}: must be {field.allowed()}")
    shape, classes = meta["input_shape"], meta.get("classes")
    if len(shape) > 3 or {len(meta["mean"]), len(meta["std"])} != {shape[0]}:
        raise UserError(
            f"meta.input_shape={show(shape)}: must have one to three sides, and as many in the first as mean and std have values"
        )
    if classes and (
        not isinstance(classes, list) or len(classes) != meta.get("n_classes") or not all(isinstance(c, PLAIN) for c in classes)
    ):
        raise UserError(f"meta.classes={show(classes)}: must be null, or {meta.get('n_classes')} names")
    for key in ("precision", "metrics"):
        if not FIELDS[key].accepts(config.get(key, FIELDS[key].default)):
            raise UserError(f"{key}={show(config[key])}: must be {FIELDS[key].allowed()}")
    if "loss" in config:
        losses.validate(config["loss"], meta["task"])


def _check_allowed(named: Any, allow: Sequence[str]) -> None:
    if named not in allow:
        raise UserError(
            f"its model is {show(named)}, code that a file may not choose to run; where you trust that code, name it: "
            f"load_model(path, allow=[{show(named)!r}])"
        )


def _check_weights(config: Mapping[str, Any], state: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
    """UserError where the weights are not those of this model. It is built without memory: a small file may describe a giant."""
    with torch.device("meta"):
        wanted: nn.Module = models.build(config, meta)
    expected, found = ({name: (tuple(v.shape), v.dtype) for name, v in each.items()} for each in (wanted.state_dict(), state))
    for name in [*expected, *found]:
        if expected.get(name) != found.get(name):
            raise UserError(f"state_dict.{show(name)} is not a weight of its model ({show(config.get('name'))}); train it again")


def targets_in(folder: Path) -> list[str]:
    """The import paths (`_target_`) that the choices of conf/model name: code that the project's own owner chose.

    UserError for a choice that cannot be read.
    """
    found = []
    for path in sorted(folder.glob("*.yaml")):
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise UserError(f"{path}: cannot be read ({type(error).__name__}); it must be YAML") from None
        if isinstance(content, dict) and content.get("_target_") is not None:
            found.append(str(content["_target_"]))
    return found
