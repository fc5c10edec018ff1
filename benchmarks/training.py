"""What a training epoch costs beside a bare loop of the same model in plain torch.

    python benchmarks/training.py                                  # the default configuration; prints a table of ratios
    python benchmarks/training.py --data digits --model cnn resnet --batch-size 32 128 --device cuda

Three loops take turns, one epoch each, in one process, so that whatever else the machine does meets all of them:
- bare: the same batches gathered by index, forward, loss, backward, step; the loss summed. No validation, no metric, no schedule.
- bare + val: the same, then loss and accuracy on the validation part, which every tuned run needs.
- trivet: a training's epoch with its metrics, norms, schedule, best weights, and a checkpoint on disk.

The ratios are medians over turns, the first ones left out. On a CPU the clock is the processor time of the one thread, so that
other programs on the machine count less. The limit is 1.15 of bare + val.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from trivet import data
from trivet.data.prepared import folder_for
from trivet.training import Run, checkpoint, losses, models, optimizers, pick_device, reproducible
from trivet.training.predictor import EVAL_BATCH, EVAL_BATCH_GPU
from trivet.training.run import n_steps

ROOT = Path(__file__).resolve().parent.parent
WARM_UP = 2


def bare_loop(config: dict, loaded: data.Data, validate: bool) -> Callable[[], None]:
    """One epoch of a plain loop over tensors on the device, as a function."""
    x, y, device, size = loaded.train.x, loaded.train.y, loaded.train.x.device, config["batch_size"]
    torch.manual_seed(config["seed"])
    model = models.build(config["model"], loaded.meta).to(device)
    loss_of = losses.build(config["loss"], loaded.meta)
    optimizer = optimizers.build(config["optimizer"], list(model.parameters()))
    eval_batch = EVAL_BATCH.get(device.type, EVAL_BATCH_GPU)

    def epoch() -> None:
        model.train()
        order = torch.randperm(len(x), device=device)
        total = torch.zeros((), device=device)
        for part in order[: n_steps(len(x), size) * size].split(size):
            loss = loss_of(model(x[part]), y[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach()
        total.item()
        if validate:
            model.eval()
            with torch.inference_mode():
                out = torch.cat([model(part) for part in loaded.val.x.split(eval_batch)])
                loss_of(out, loaded.val.y).item()
                (out.argmax(1) == loaded.val.y).float().mean().item()

    return epoch


def trivet_loop(config: dict, loaded: data.Data, folder: Path) -> Callable[[], None]:
    """One epoch of Trivet with its checkpoint, as a function."""
    run = Run(config, loaded)
    key = checkpoint.identity(config, loaded.meta["sha256"], run.device)

    def epoch() -> None:
        run.epoch()
        checkpoint.save(folder, key, run.state_dict())

    return epoch


def measure(config: dict, device: torch.device, n_epochs: int) -> dict[str, list[float]]:
    """Seconds of each epoch of each loop."""
    loaded = data.load(folder_for(config["data"], ROOT), device)
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    times: dict[str, list[float]] = {"bare": [], "bare + val": [], "trivet": []}
    with tempfile.TemporaryDirectory() as folder, reproducible(config, device):
        loops = {
            "bare": bare_loop(config, loaded, validate=False),
            "bare + val": bare_loop(config, loaded, validate=True),
            "trivet": trivet_loop(config, loaded, Path(folder)),
        }
        for _ in range(n_epochs + WARM_UP):
            for name, epoch in loops.items():
                started = clock()
                epoch()
                times[name].append(clock() - started)
    return {name: spent[WARM_UP:] for name, spent in times.items()}


def ratio(times: dict[str, list[float]], name: str) -> float:
    """Median over turns of trivet's time by another loop's."""
    return statistics.median(ours / other for ours, other in zip(times["trivet"], times[name], strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description="Time per epoch beside a bare loop of the same model.")
    parser.add_argument("--data", nargs="+", default=["mnist1d"])
    parser.add_argument("--model", nargs="+", default=["cnn", "mlp"])
    parser.add_argument("--batch-size", nargs="+", type=int, default=[16, 64, 256])
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--overrides", nargs="*", default=[], help="further Hydra overrides, such as precision=bf16")
    options = parser.parse_args()
    device = pick_device(options.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{device.type}, 1 thread"
    print(f"device: {name}; torch {torch.__version__}; milliseconds per epoch, median of {options.epochs}")
    print(f"{'data':<10}{'model':<12}{'batch':>6}{'bare':>10}{'bare+val':>10}{'trivet':>10}{'/ bare':>9}{'/ bare+val':>12}")
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        for source in options.data:
            for model in options.model:
                for size in options.batch_size:
                    overrides = [f"data={source}", f"model={model}", f"batch_size={size}", f"epochs={options.epochs + WARM_UP}"]
                    config = OmegaConf.to_container(compose("config", [*overrides, *options.overrides]), resolve=True)
                    t = measure(config, device, options.epochs)
                    cells = "".join(f"{1e3 * statistics.median(spent):>10.1f}" for spent in t.values())
                    print(f"{source:<10}{model:<12}{size:>6}{cells}{ratio(t, 'bare'):>9.2f}{ratio(t, 'bare + val'):>12.2f}", flush=True)


if __name__ == "__main__":
    main()
