"""How many workers a sweep starts, and on which GPUs."""

from __future__ import annotations

import logging
import math

from trivet.errors import UserError
from trivet.search.samplers import INDEPENDENT, SamplerSpec
from trivet.search.stopping import StopRules
from trivet.study import identity
from trivet.sweep.settings import Settings

log = logging.getLogger("trivet")
PER_CORE = 8
"""Workers for each core of this machine, and threads of a worker for each core, beyond which nothing gets faster."""
THREADS_ELSEWHERE = 1024
"""Threads of a worker that a launcher starts on another machine."""


def crew(s: Settings, stop: StopRules, sampler: SamplerSpec, launched: bool, n_runs: int = 1) -> tuple[int, list[str]]:
    """(workers, what each sees of the GPUs, in turn); 0 workers: the calling process. Raises `UserError` for numbers that make no sense.

    More workers than trials that may run at once (each with its `n_runs` replicates) would wait, and more than a machine can hold would
    end it: fewer are started, with a line.
    """
    gpus, cores = devices(s, identity.gpu_ids(), launched), identity.cores()
    most_threads = max(PER_CORE * cores, THREADS_ELSEWHERE if launched else 0)
    if s.threads is not None and s.threads > most_threads:
        raise UserError(f"hydra.sweeper.threads={s.threads}: this machine has {cores} cores; give at most {most_threads}")
    n_trials, lagging = stop.n_trials * n_runs, (s.lag + 1) * n_runs
    most = n_trials if sampler.name in INDEPENDENT else min(n_trials, lagging)
    if s.n_jobs in ("auto", None, -1):
        n = len(gpus) * s.trials_per_gpu or max(1, cores // (s.threads or 1))
        if min(n, n_trials) > most:
            log.warning(
                f"hydra.sweeper.n_jobs=auto: starting {most} of {n} (hydra.sweeper.lag={s.lag}; lag={math.ceil(n / n_runs) - 1} uses all)"
            )
        return min(n, most), gpus
    n = int(s.n_jobs)
    if n == 0 and launched:
        raise UserError("hydra.sweeper.n_jobs=0: is this process, and a launcher's jobs are others; give 1 or more")
    if n > most:
        few = (
            f"{most} {'trials' if n_runs == 1 else 'runs'} in all"
            if most == n_trials
            else f"hydra.sweeper.lag={s.lag} lets {most} run at once, so raise lag to use more"
        )
        log.warning(f"hydra.sweeper.n_jobs={n}: starting {most} ({few})")
    room = n if launched else PER_CORE * max(cores, len(gpus) * s.trials_per_gpu)
    if s.gpus_per_trial > 1 and min(n, most) > len(gpus):
        log.warning(f"hydra.sweeper.n_jobs={n}: starting {len(gpus)} (hydra.sweeper.gpus_per_trial={s.gpus_per_trial})")
        room = min(room, len(gpus))
    elif min(n, most) > room:
        log.warning(f"hydra.sweeper.n_jobs={n}: starting {room}, {PER_CORE} for each core of this machine; a launcher reaches others")
    return min(n, most, room), gpus


def devices(s: Settings, gpus: list[str], launched: bool) -> list[str]:
    """What CUDA_VISIBLE_DEVICES may say: each GPU, or as many at once as a trial has. Raises `UserError` where that cannot be."""
    n, key = s.gpus_per_trial, f"hydra.sweeper.gpus_per_trial={s.gpus_per_trial}"
    if n == 1:
        return gpus
    if s.trials_per_gpu > 1:
        raise UserError(f"{key}: contradicts hydra.sweeper.trials_per_gpu={s.trials_per_gpu}; leave one of them at 1")
    if launched:
        raise UserError(f"{key}: a launcher's jobs have the GPUs that it asks for; write hydra.launcher.gpus_per_node={n}, say, instead")
    if s.n_jobs == 0:
        raise UserError(f"{key}: hydra.sweeper.n_jobs=0 is this process, which sees all GPUs; give 1 or more workers")
    if len(gpus) < n:
        raise UserError(f"{key}: this machine has {len(gpus)} that may be used; give at most that many")
    if left := len(gpus) % n:
        log.warning(f"{key}: {left} of {len(gpus)} GPUs stay{'s' * (left == 1)} idle")
    return [",".join(gpus[i : i + n]) for i in range(0, len(gpus) - left, n)]
