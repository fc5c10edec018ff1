"""A Hydra callback that writes down what it is told."""

from pathlib import Path

from hydra.experimental.callback import Callback


class Note(Callback):
    """Writes what it is told to callbacks.log in the folder where the app was started."""

    def _note(self, what):
        with Path("callbacks.log").open("a") as file:
            file.write(f"{what}\n")

    def on_multirun_start(self, config, **kwargs):
        self._note("multirun start")

    def on_multirun_end(self, config, **kwargs):
        self._note("multirun end")

    def on_job_start(self, config, *, task_function, **kwargs):
        self._note(f"start {config.hydra.job.num}")

    def on_job_end(self, config, job_return, **kwargs):
        self._note(f"end {config.hydra.job.num} {job_return.status.name}")
