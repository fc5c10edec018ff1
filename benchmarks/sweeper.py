"""The sweeper beside its peers on the same work, in one run, as ratios.

    python benchmarks/sweeper.py noop      # what a trial costs that does nothing: hydra-optuna-sweeper with the joblib launcher
    python benchmarks/sweeper.py scale     # what a trial costs after 100 and after 5,000 others
    python benchmarks/sweeper.py scale --trials 10000 --workers 8 --storage postgresql://user@localhost/db   # the same in a database
    python benchmarks/sweeper.py search    # 60 trials of a 1-D CNN on MNIST-1D: hydra-optuna-sweeper, plain Optuna processes

The CNNs of `search` are of the size of the one published with MNIST-1D (25 channels), so that a seed takes minutes.

Commands alternate (A B A B ...), so that a machine whose speed drifts is fair to both; medians and their ratio are printed.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

NOOP_APP = """
import hydra
@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(config):
    return (config.x - 0.3) ** 2 + config.y ** 2
if __name__ == "__main__":
    main()
"""
NOOP_SPACE = ["x=interval(0,1)", "y=interval(-1,1)"]

SPACE = {
    "optimizer.lr": "tag(log,interval(1e-5,1e-1))",
    "optimizer.weight_decay": "tag(log,interval(1e-6,1e-2))",
    "batch_size": "choice(16,32,64,128,256)",
    "model.channels": "int(interval(8,32))",
    "model.depth": "int(interval(2,4))",
    "model.dropout": "interval(0,0.5)",
}
OVERRIDES = [f"{key}={value}" for key, value in SPACE.items()]


def run(command: Sequence[str], folder: Path) -> float:
    """Seconds of a whole process; its failure ends the benchmark."""
    start = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return time.perf_counter() - start


def ratio(name: str, ours: Sequence[float], theirs: Sequence[float]) -> str:
    """Median of the pairwise ratios theirs / ours."""
    pairs = [b / a for a, b in zip(ours, theirs, strict=True)]
    return f"{name}: {statistics.median(pairs):.2f} times ours (pairs {min(pairs):.2f} to {max(pairs):.2f})"


# No-op trials --------------------------------------------------------------------------------------------------------------


def noop_folder() -> Path:
    """A tiny app whose trials do nothing."""
    folder = Path(tempfile.mkdtemp(prefix="noop-"))
    (folder / "conf").mkdir()
    (folder / "conf" / "config.yaml").write_text("x: 0.0\ny: 0.0\n")
    (folder / "app.py").write_text(NOOP_APP)
    return folder


def noop_command(tool: str, n_trials: int, workers: int = 2, storage: str | None = None) -> list[str]:
    """The sweep of n_trials."""
    own = {
        "trivet": ["hydra/sweeper=trivet", "hydra.sweeper.sampler=tpe"],  # the peer's sampler
        "joblib": ["hydra/sweeper=optuna", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"],
    }[tool]
    own += [f"hydra.sweeper.storage='{storage}'", f"hydra.sweeper.study_name=noop-{time.time_ns()}"] if storage is not None else []
    return [sys.executable, "app.py", "-m", *own, *NOOP_SPACE, f"hydra.sweeper.n_jobs={workers}", f"hydra.sweeper.n_trials={n_trials}"]


def noop(repeats: int, few: int, many: int) -> None:
    """Cost per trial = (seconds of many - seconds of few) / (many - few), which leaves the start-up out."""
    costs: dict[str, list[float]] = {"trivet": [], "joblib": []}
    for _ in range(repeats):
        for tool, found in costs.items():
            seconds = []
            for n_trials in (few, many):
                folder = noop_folder()
                seconds.append(run(noop_command(tool, n_trials), folder))
                shutil.rmtree(folder)
            found.append((seconds[1] - seconds[0]) / (many - few))
    for tool, found in costs.items():
        print(f"{tool}: {statistics.median(found) * 1e3:.1f} ms a trial, wall, two workers")
    print(ratio("hydra-optuna-sweeper + joblib", costs["trivet"], costs["joblib"]))


def scale(n_trials: int, workers: int, storage: str | None) -> None:
    """Wall time per trial around trial 100 and at the end, from the study's own time stamps; and processor time."""
    from trivet.study.storage import open_storage
    from trivet.study.tables import load_study

    folder = noop_folder()
    seconds = run(noop_command("trivet", n_trials, workers, storage), folder)
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    (sweep,) = folder.glob("multirun/*/study.yaml")
    name = load_study(sweep.parent)["name"]
    opened = open_storage(storage, sweep.parent, name, make=False)
    trials = opened.get_all_trials(opened.get_study_id_from_name(name))
    starts = sorted(trial.datetime_start for trial in trials)
    shutil.rmtree(folder)
    assert len(starts) == n_trials

    def cost(first: int, last: int) -> float:
        return (starts[last] - starts[first]).total_seconds() / (last - first) * 1e3

    early, late = cost(50, 150), cost(n_trials - 201, n_trials - 1)
    print(f"around trial 100: {early:.1f} ms a trial; around trial {n_trials - 100}: {late:.1f} ms; ratio {late / early:.2f}")
    cpu = (spent.ru_utime + spent.ru_stime) / n_trials * 1e3
    whole = f"{seconds / n_trials * 1e3:.1f} ms a trial, {cost(0, n_trials - 1):.1f} ms between first and last"
    print(f"{n_trials} trials with {workers} workers in {seconds:.0f} s: {whole}; {cpu:.1f} ms of a processor, a database's own left out")


# A real search -------------------------------------------------------------------------------------------------------------


Found = tuple[float, float, str, list[tuple[float, float]] | None]
"""Of a search: its seconds, its best value, what else is told of it, and (seconds from its start, value) of each complete trial."""


def search_trivet(seed: int, n_trials: int, folder: Path) -> Found:
    """hparams=search, over the same space as the others."""
    command = [sys.executable, "src/train.py", "-m", "hparams=search", *OVERRIDES, "hydra.sweeper.config_space=false"]
    command += ["hydra.sweeper.params=null", "hydra.sweeper.n_jobs=2", f"hydra.sweeper.n_trials={n_trials}"]
    command += [f"hydra.sweeper.sampler.seed={seed}", f"hydra.sweep.dir={folder}/sweep"]
    begun = datetime.now()
    seconds = run(command, ROOT)
    import csv

    rows = list(csv.DictReader((folder / "sweep" / "trials.csv").open()))
    epochs = sum(int(r["step"] or 0) + int(r["overrun"]) for r in rows)
    busy = sum(float(r["seconds"]) for r in rows) / (2 * seconds)
    best = max(float(r["value"]) for r in rows if r["state"] == "COMPLETE")
    name = _study(folder / "sweep")["name"]
    ends = _ends(folder / "sweep" / "journal.log", name, begun)
    return seconds, best, f"{epochs} epochs, workers in trials {busy:.0%} of the wall time", ends


def _study(folder: Path) -> dict:
    import yaml

    return yaml.safe_load((folder / "study.yaml").read_text())


def _ends(journal: Path, name: str, begun: datetime) -> list[tuple[float, float]]:
    """(seconds from the start, value) of each complete trial of a journal, in the order of their ends."""
    import optuna

    trials = optuna.load_study(study_name=name, storage=_journal(str(journal))).trials
    return sorted(((t.datetime_complete - begun).total_seconds(), t.value) for t in trials if t.state.name == "COMPLETE")


def search_joblib(seed: int, n_trials: int, folder: Path) -> Found:
    """hydra-optuna-sweeper with the joblib launcher: every trial to its end."""
    command = [sys.executable, "src/train.py", "-m", "hparams=optuna", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", *OVERRIDES]
    command += ["hydra.sweeper.n_jobs=2", f"hydra.sweeper.n_trials={n_trials}", f"hydra.sweeper.sampler.seed={seed}"]
    command += [f"hydra.sweep.dir={folder}/sweep"]
    seconds = run(command, ROOT)
    import yaml

    results = yaml.safe_load((folder / "sweep" / "optimization_results.yaml").read_text())
    return seconds, results["best_value"], f"{n_trials * 30} epochs", None


def search_optuna(pruner: str) -> Callable[[int, int, Path], Found]:
    """Two plain Optuna processes on a journal, TPE and one of Optuna's pruners, as its documentation shows."""

    def search(seed: int, n_trials: int, folder: Path) -> Found:
        journal = str(folder / "journal.log")
        begun = datetime.now()
        start = time.perf_counter()
        workers = [
            subprocess.Popen(
                [sys.executable, __file__, "_optuna", journal, str(n_trials), str(seed + 1000 * k), pruner], cwd=ROOT, env=ENVIRONMENT
            )
            for k in range(2)
        ]
        if any([worker.wait() for worker in workers]):
            sys.exit("an Optuna process failed")
        seconds = time.perf_counter() - start
        import optuna

        trials = optuna.load_study(study_name="peer", storage=_journal(journal)).trials
        epochs = sum(len(t.intermediate_values) for t in trials)
        return seconds, max(t.value for t in trials if t.state.name == "COMPLETE"), f"{epochs} epochs", _ends(Path(journal), "peer", begun)

    return search


def _journal(path: str):
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return JournalStorage(JournalFileBackend(path))


def optuna_worker(journal: str, n_trials: int, seed: int, pruner: str) -> None:
    """One of the two processes: the same training function, fed by Optuna itself."""
    import optuna
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    from trivet import data, training

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        base = OmegaConf.to_container(compose("config"), resolve=True)
    loaded = data.load(ROOT / base["data"]["path"], training.pick_device(base["device"]))

    def objective(trial: optuna.Trial) -> float:
        config = json.loads(json.dumps(base))
        config["optimizer"]["lr"] = trial.suggest_float("lr", 1e-5, 1e-1, log=True)
        config["optimizer"]["weight_decay"] = trial.suggest_float("weight_decay", 1e-6, 1e-2, log=True)
        config["batch_size"] = trial.suggest_categorical("batch_size", [16, 32, 64, 128, 256])
        config["model"]["channels"] = trial.suggest_int("channels", 8, 32)
        config["model"]["depth"] = trial.suggest_int("depth", 2, 4)
        config["model"]["dropout"] = trial.suggest_float("dropout", 0.0, 0.5)

        def report(value: float, step: int, metrics: dict[str, float]) -> None:
            trial.report(value, step)
            if trial.should_prune():
                raise optuna.TrialPruned

        return training.train(config, loaded, report).value

    rules = {
        "median": optuna.pruners.MedianPruner(),
        "asha": optuna.pruners.SuccessiveHalvingPruner(),
        "hyperband": optuna.pruners.HyperbandPruner(max_resource=30),
    }
    study = optuna.create_study(
        study_name="peer",
        storage=_journal(journal),
        load_if_exists=True,
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=rules[pruner],
    )
    states = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED, optuna.trial.TrialState.RUNNING)
    study.optimize(objective, callbacks=[optuna.study.MaxTrialsCallback(n_trials, states=states)], catch=(FloatingPointError,))


def search(seeds: int, n_trials: int, tools: Sequence[str]) -> None:
    """The same search by every tool, seed by seed."""
    from trivet.study import identity

    print(f"device: {', '.join(identity.gpu_names()) or 'no GPU'}; {identity.hardware()['cpu']}, {identity.cores()} cores", flush=True)
    every = {
        "trivet": search_trivet,
        "joblib": search_joblib,
        "median": search_optuna("median"),
        "asha": search_optuna("asha"),
        "hyperband": search_optuna("hyperband"),
    }
    seconds: dict[str, list[float]] = {tool: [] for tool in tools}
    bests: dict[str, list[float]] = {tool: [] for tool in tools}
    for seed in range(seeds):
        ends = {}
        for tool in tools:
            folder = Path(tempfile.mkdtemp(prefix=f"search-{tool}-"))
            took, best, more, ends[tool] = every[tool](seed, n_trials, folder)
            shutil.rmtree(folder)
            seconds[tool].append(took)
            bests[tool].append(best)
            print(f"seed {seed}  {tool:9} {took:6.1f} s  best {best:.4f}  {more}", flush=True)
        if "median" in tools:
            bar = bests["median"][-1]
            reached = [f"{tool} {_to_reach(found, bar)}" for tool, found in ends.items()]
            print(f"seed {seed}  seconds to reach {bar:.4f}, the best of median: {', '.join(reached)}", flush=True)
    for tool in tools:
        print(f"{tool:9} median {statistics.median(seconds[tool]):6.1f} s, mean best {statistics.mean(bests[tool]):.4f}")
    for tool in tools:
        if tool != "trivet" and "trivet" in tools:
            print(ratio(tool, seconds["trivet"], seconds[tool]))


def _to_reach(ends: Sequence[tuple[float, float]] | None, bar: float) -> str:
    if ends is None:
        return "not recorded"
    return next((f"{seconds:.1f}" for seconds, value in ends if value >= bar), "not reached")


def main() -> None:
    """See the module's docstring."""
    if sys.argv[1:2] == ["_optuna"]:
        journal, n_trials, seed, pruner = sys.argv[2:]
        optuna_worker(journal, int(n_trials), int(seed), pruner)
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["noop", "scale", "search"])
    parser.add_argument("--repeats", type=int, default=3, help="of noop")
    parser.add_argument("--trials", type=int, default=None, help="noop: 400; scale: 5000; search: 60")
    parser.add_argument("--workers", type=int, default=2, help="of scale")
    parser.add_argument("--storage", default=None, help="of scale: a database's URL; without it, a journal")
    parser.add_argument("--seeds", type=int, default=3, help="of search")
    parser.add_argument("--tools", default="trivet,joblib,median", help="of search: trivet, joblib, median, asha, hyperband")
    given = parser.parse_args()
    if given.what == "noop":
        noop(given.repeats, 20, given.trials or 400)
    elif given.what == "scale":
        scale(given.trials or 5000, given.workers, given.storage)
    else:
        search(given.seeds, given.trials or 60, given.tools.split(","))


if __name__ == "__main__":
    main()
