"""What a sweep shows while it runs and when it ends: a live view in a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from trivet import secrets
from trivet.space.suggesting import around
from trivet.study import schedule, tables
from trivet.study.invocation import Invocation
from trivet.study.records import Official
from trivet.study.study import Study
from trivet.sweep.failures import Failures

log = logging.getLogger("trivet")
PLAIN_EVERY_SECONDS = 10.0
REFRESH_SECONDS = 0.5
BACKGROUND_SECONDS = 1.0


class State:
    """Counts and the best of a study at one moment; reads, never writes."""

    def __init__(self, study: Study) -> None:
        self.trials = study.finished()
        self.n_trials = study.spec.stop.n_trials
        self.counts = {state: sum(t.state == state for t in self.trials) for state in ("COMPLETE", "PRUNED", "FAIL", "INFEASIBLE")}
        done = {t.number for t in self.trials}
        self.running = [
            (t.number, t.user_attrs.get("trivet:claim", {}).get("worker", "?"), max(t.intermediate_values, default=0))
            for t in study.trials
            if t.number not in done and not t.state.is_finished() and "trivet:end" not in t.user_attrs
        ]
        self.best = tables.best_of(study, self.trials)
        self.n_steps = sum(t.cost for t in self.trials)
        full = max((t.step for t in self.trials), default=0)
        self.n_steps_saved = sum(full - t.step for t in self.trials if t.stopped and t.cost)
        self.n_objectives = len(study.spec.directions)

    @property
    def n_done(self) -> int:
        """Finished trials."""
        return len(self.trials)

    def line(self) -> str:
        """The counts in one line."""
        c = self.counts
        text = f"{self.n_done} of {self.n_trials} trials: {c['COMPLETE']} complete, {c['PRUNED']} pruned, {c['FAIL']} failed"
        if c["INFEASIBLE"]:
            text += f", {c['INFEASIBLE']} infeasible"
        if self.running:
            text += f", {len(self.running)} running"
        if self.n_steps_saved > 0:
            text += f"; pruning saved {self.n_steps_saved} steps of {self.n_steps_saved + self.n_steps}"
        return text

    def best_line(self) -> str:
        """The best so far and its parameters."""
        if self.best is None:
            return "best: none yet"
        values = ", ".join(f"{v:.6g}" for v in self.best.values)
        return f"best: {values} (trial {self.best.number}) {describe(self.best)}"


def describe(trial: Official) -> str:
    """A trial's parameters in a line that a terminal can show."""
    return secrets.line(" ".join(f"{name.partition(' [')[0]}={_short(value)}" for name, value in trial.params.items()))


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class Progress:
    """Shows a study while its workers run. `tick()` may be called as often as one likes."""

    def __init__(self, study: Study, n_jobs: int, resumed: bool, fixed: Sequence[str]) -> None:
        self.study, self.n_jobs, self.fixed = study, n_jobs, list(fixed)
        self.console = Console(stderr=True)
        self._live: Live | None = None
        self._due = 0.0
        self._shown = -1
        self._started = time.monotonic()
        state = State(study)
        self._done_before = state.n_done
        self._failures = Failures(Path(study.spec.folder), study.folders)
        verb = "continuing" if resumed and study.trials else "starting"
        workers = "in this process" if n_jobs == 0 else f"with {n_jobs} worker{'s' * (n_jobs > 1)}"
        log.info(secrets.line(f"{verb} {study.spec.name} {workers} in {study.spec.folder}") + (f"; {state.line()}" if study.trials else ""))

    def __enter__(self) -> Progress:
        if self.console.is_terminal and self.n_jobs:
            self._live = Live(console=self.console, refresh_per_second=4, transient=True)
            self._live.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        if self._live is not None:
            self._live.__exit__(*error)
            self._live = None

    def tick(self) -> None:
        """Show what is new, if it is time to."""
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + (REFRESH_SECONDS if self._live is not None else PLAIN_EVERY_SECONDS)
        self.study.sync()
        state = State(self.study)
        self._failures.tell(state.trials)
        if self._live is not None:
            self._live.update(self._render(state))
        elif state.n_done != self._shown:
            self._shown = state.n_done
            log.info(f"{state.line()}; {state.best_line()}{self._left(state)}")

    def _left(self, state: State) -> str:
        done = state.n_done - self._done_before
        if done < 1 or state.n_done >= state.n_trials:
            return ""
        seconds = (time.monotonic() - self._started) / done * (state.n_trials - state.n_done)
        return f"; about {_duration(seconds)} left"

    def _render(self, state: State) -> Group:
        bar = ProgressBar(total=max(1, state.n_trials), completed=state.n_done, width=40)
        running = ", ".join(f"{number} on {worker} at step {step}" for number, worker, step in state.running[:8])
        lines = [
            Text(state.line() + self._left(state)),
            Text(state.best_line(), style="bold"),
            Text(f"running: {running or 'none'}", style="dim"),
        ]
        return Group(bar, *lines)

    @contextlib.contextmanager
    def in_background(self) -> Iterator[None]:
        """Tick from a thread while the block waits for others."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(BACKGROUND_SECONDS):
                self.tick()

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def top(trials: Sequence[Official], maximize: bool, n: int = 5) -> list[Official]:
    """The best `n` completed trials, best first."""
    complete = [t for t in trials if t.state == "COMPLETE"]
    return sorted(complete, key=lambda t: (-t.values[0] if maximize else t.values[0], t.number))[:n]


def top_table(trials: Sequence[Official], directions: Sequence[str], n: int = 5) -> Table:
    """The best trials as a table (with several objectives: the Pareto front)."""
    chosen = top(trials, directions[0] == "maximize", n) if len(directions) == 1 else tables.pareto(trials, directions)[:n]
    table = Table(title=f"Best {len(chosen)} of {len(trials)} trials" if len(directions) == 1 else f"Pareto front ({len(chosen)} shown)")
    for column in ("number", "value", "step"):
        table.add_column(column, justify="right")
    table.add_column("parameters", overflow="fold")
    for t in chosen:
        table.add_row(str(t.number), ", ".join(f"{v:.6g}" for v in t.values), str(t.step or ""), Text(describe(t)))  # no markup in it
    return table


def say(console: Console, message: str) -> None:
    """Print a line with whatever it holds: control characters as escapes, no markup, no breaks."""
    console.print(secrets.line(message), markup=False, highlight=False, soft_wrap=True)


def summarize(study: Study, folder: Path, fixed: Sequence[str], stopped_by: str) -> None:
    """What is left on the screen when a sweep ends."""
    state = State(study)
    console = Console(width=None if sys.stdout.isatty() else 140)
    say(console, f"{study.spec.name}: {state.line()} (stopped by {stopped_by})")
    if state.best is not None:
        console.print(top_table(state.trials, study.spec.directions))
        if study.spec.sampler.name == schedule.SAMPLER:
            say(console, f"To train the best one's schedule again: {schedule.command(study, folder, fixed)}")
        elif len(study.spec.directions) == 1 and study.spec.sampler.name != "replay":  # whose last segment is no training by itself
            command = Invocation.current().single(tables.overrides_of(study, state.best.number, fixed))
            say(console, f"To retrain the best: {command}")
        if study.spec.sampler.name == "ladder":
            key = str(study.spec.sampler.arguments["key"])
            say(console, f"To search around it: {Invocation.current().multi(around(key, float(state.best.params[key]), fixed))}")
    for line in Failures(folder, study.folders).summary(state.trials):
        say(console, line)
    say(console, f"Tables: {folder}")
