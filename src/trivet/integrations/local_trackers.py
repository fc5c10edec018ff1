"""Trackers that write to folders of this machine alone: Weights & Biases offline, and DVCLive."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trivet import secrets
from trivet.integrations.tracking import Sweep, Tracker, Trial, whole

WRITTEN = "trivet-whole"  # a file in the folder of a run that was written to its end


class WandB(Tracker):
    """Offline runs of Weights & Biases, one for the sweep and one for each trial, of one group; `wandb sync <folder>` uploads them.

    `directory`: null is the sweep's folder (wandb makes `wandb/` in it). `project`: null is `trivet`.
    """

    library = "wandb"

    def __init__(self, project: str | None = None, directory: str | None = None) -> None:
        super().__init__()
        self.project, self.directory = project or "trivet", directory

    def write(self, sweep: Sweep) -> None:
        """See the class. A run that was not written to its end, as its writer was killed, is removed and written anew."""
        import wandb

        root = Path(self.directory) if self.directory else sweep.folder
        root.mkdir(parents=True, exist_ok=True)
        written = [self._run(root, sweep, "sweep", sweep.name, sweep.about, {}, {}, failed=False)]
        for trial in sweep.trials:
            final = {f"trial/{key}": value for key, value in trial.values.items()} | _words(trial)
            name = f"{sweep.name} trial {trial.number}"
            written.append(self._run(root, sweep, "trial", name, trial.params, trial.curve, final, failed=trial.state == "FAIL"))
        wandb.teardown()  # its service writes files at its leisure, and has written them all when it is over
        for folder in written:
            if folder is not None:
                (folder / WRITTEN).touch()

    def _run(
        self,
        root: Path,
        sweep: Sweep,
        kind: str,
        name: str,
        config: Mapping[str, str],
        curve: Mapping[int, Mapping[str, float]],
        final: Mapping[str, Any],
        *,
        failed: bool,
    ) -> Path | None:
        """Write a run; its folder, or None where it is there already."""
        import wandb

        mark = hashlib.sha256(name.encode()).hexdigest()[:12]  # names may hold what an id may not
        found = list((root / "wandb").glob(f"offline-run-*-{mark}"))
        if any((path / WRITTEN).exists() for path in found):
            return None
        for path in found:
            shutil.rmtree(path)
        settings = wandb.Settings(
            console="off", silent=True, x_disable_stats=True, x_disable_meta=True, disable_git=True, disable_code=True
        )
        place: dict[str, Any] = {"project": self.project, "dir": str(root), "id": mark, "name": name, "group": sweep.name, "job_type": kind}
        run = wandb.init(mode="offline", reinit="create_new", config=dict(config), settings=settings, **place)
        for step, row in sorted(curve.items()):
            run.log(dict(row), step=step)
        run.summary.update(dict(final))
        folder = Path(run.dir).parent
        run.finish(exit_code=int(failed))
        return folder


class DVCLive(Tracker):
    """Folders of DVCLive, `sweep` and one for each trial: params.yaml, metrics.json, plots/. They make no DVC experiments.

    `directory`: null is `dvclive` in the sweep's folder.
    """

    library = "dvclive"

    def __init__(self, directory: str | None = None) -> None:
        super().__init__()
        self.directory = directory

    def write(self, sweep: Sweep) -> None:
        """See the class. Each folder is written under another name and renamed, so that what is there is whole."""
        root = Path(self.directory) / sweep.name if self.directory else sweep.folder / "dvclive"
        self._live(root, "sweep", sweep.about, {}, {})
        for trial in sweep.trials:
            final = {f"trial/{key}": value for key, value in trial.values.items()} | _words(trial)
            self._live(root, str(trial.number), trial.params, trial.curve, final)

    def _live(
        self, root: Path, name: str, params: Mapping[str, str], curve: Mapping[int, Mapping[str, float]], final: Mapping[str, Any]
    ) -> None:
        from dvclive import Live

        if (root / name).exists():
            return
        with whole(root, name) as part:
            live = Live(dir=str(part), save_dvc_exp=False, dvcyaml=None, report=None)
            live.log_params(dict(params))
            for step, row in sorted(curve.items()):
                live.step = step
                for key, value in row.items():
                    live.log_metric(key, value)
            live.summary.update(final)
            live.end()


def _words(trial: Trial) -> dict[str, str]:
    return {"trial/state": trial.state, **({"trial/reason": secrets.line(trial.reason)} if trial.reason else {})}
