"""The real src/train.py in a real sweep, killed with SIGKILL inside trials and continued: the same table, curves and weights.

pytest tests/test_resume_killed.py
"""

import random
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from apps.running import Running, assert_same, run, send, until

from trivet.training import load_model

TRAIN = Path(__file__).resolve().parent.parent / "src" / "train.py"
EPOCHS, N_TRIALS = 5, 2
ARGUMENTS = f"""-m hparams=search pruner=none data=arrays data.file=signals.npz epochs={EPOCHS} batch_size=16 device=cpu save_model=true
    model=choice(cnn,resnet) optimizer=choice(adamw,sgd) optimizer.lr=interval(1e-3,1e-2) hydra.sweeper.config_space=false
    hydra.sweeper.identity.files=[] hydra.sweep.dir=sweep hydra.sweeper.n_trials={N_TRIALS}""".split()
IN_PROCESS, WORKER = "hydra.sweeper.n_jobs=0", "hydra.sweeper.n_jobs=1"
"""A worker is killed, beside its parent; what runs in peace need not start one."""


def signals(folder):
    """Noisy waves of two classes: the model's weights are channels-last."""
    rng = np.random.default_rng(0)
    y = np.arange(700) % 2
    x = np.sin(np.arange(24) * (0.5 + 0.3 * y[:, None])) + rng.normal(0, 1, (len(y), 24))
    np.savez(folder / "signals.npz", x=x[:, None].astype("float32"), y=y)


def n_epochs(trial):
    metrics = trial / "metrics.jsonl"
    return metrics.read_bytes().count(b"\n") if metrics.exists() else 0


@pytest.mark.slow
def test_a_sweep_killed_in_its_trials_gives_the_same_bits(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        folder.mkdir()
        signals(folder)
    ended = run(TRAIN, *ARGUMENTS, IN_PROCESS, cwd=whole, alone=True)
    assert ended.code == 0, ended.text
    rng = random.Random(0)
    epoch, trial = rng.randrange(1, EPOCHS - 1), killed / "sweep" / str(rng.randrange(N_TRIALS))
    with Running(TRAIN, *ARGUMENTS, WORKER, cwd=killed, alone=True) as running:
        until(lambda: running.over or n_epochs(trial) >= epoch, "an epoch of the trial")
        for pid in running.members():
            send(pid, signal.SIGKILL)
        running.wait()
    ended = run(TRAIN, *ARGUMENTS, IN_PROCESS, cwd=killed, alone=True)
    assert ended.code == 0, ended.text
    logs = [(killed / "sweep" / str(number) / "train.log").read_text() for number in range(N_TRIALS)]
    assert any("continuing after epoch" in log for log in logs)
    assert_same(killed / "sweep", whole / "sweep")
    for number in range(N_TRIALS):
        one, other = (load_model(folder / "sweep" / str(number) / "model.pt").model.state_dict() for folder in (whole, killed))
        assert all(torch.equal(one[name], other[name]) for name in one)
