"""How many workers a sweep starts, and on which GPUs."""

from __future__ import annotations

import logging

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


def crew(s: Settings, stop: StopRules, sampler: SamplerSpec, launched: bool) -> tuple[int, list[str]]:
    """(workers, GPUs to share among them); 0 workers: the calling process. Raises `UserError` for numbers that make no sense.

    More workers than trials that may run at once would wait, and more than a machine can hold would end it: fewer are started, with a line.
    """
    gpus, cores = identity.gpu_ids(), identity.cores()
    most_threads = max(PER_CORE * cores, THREADS_ELSEWHERE if launched else 0)
    if s.threads is not None and s.threads > most_threads:
        raise UserError(f"hydra.sweeper.threads={s.threads}: this machine has {cores} cores; give at most {most_threads}")
    most = stop.n_trials if sampler.name in INDEPENDENT else min(stop.n_trials, s.lag + 1)
    if s.n_jobs in ("auto", None, -1):
        n = len(gpus) * s.trials_per_gpu or max(1, cores // (s.threads or 1))
        if min(n, stop.n_trials) > most:
            log.warning(f"hydra.sweeper.n_jobs=auto: starting {most} of {n} (hydra.sweeper.lag={s.lag}; lag={n - 1} uses all)")
        return min(n, most), gpus
    n = int(s.n_jobs)
    if n == 0 and launched:
        raise UserError("hydra.sweeper.n_jobs=0: is this process, and a launcher's jobs are others; give 1 or more")
    if n > most:
        few = (
            f"{most} trials in all"
            if most == stop.n_trials
            else f"hydra.sweeper.lag={s.lag} lets {most} run at once, so raise lag to use more"
        )
        log.warning(f"hydra.sweeper.n_jobs={n}: starting {most} ({few})")
    room = n if launched else PER_CORE * max(cores, len(gpus) * s.trials_per_gpu)
    if min(n, most) > room:
        log.warning(f"hydra.sweeper.n_jobs={n}: starting {room}, {PER_CORE} for each core of this machine; a launcher reaches others")
    return min(n, most, room), gpus
