"""Sweeps in a tracker: a parent run for the sweep and a child run for each trial, with parameters, curves, state and reason.

python app.py -m +hydra.callbacks.tracker._target_=trivet.integrations.trackers.MLflow      # any Hydra app, with hydra/sweeper=trivet
python -m trivet.integrations.trackers mlflow sweeps/search-1a2b3c4d                        # a sweep that is over, or was interrupted

Written when a sweep ends, from its tables, so that what is tracked is what counts. Nothing flows back: tables and identity are the same
with a tracker and without. A continued sweep adds its new trials only. What cannot be written is a warning, never the end of a sweep.
"""

from __future__ import annotations

import math
import re
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trivet import secrets
from trivet.errors import UserError, exit_code
from trivet.integrations.local_trackers import DVCLive, WandB
from trivet.integrations.tracking import Sweep, Tracker, Trial, number, read, whole


class TensorBoard(Tracker):
    """Event files with scalars and hyperparameters, a folder for each trial; `directory`: null is `tensorboard` in the sweep's folder."""

    library = "tensorboard"

    def __init__(self, directory: str | None = None) -> None:
        super().__init__()
        self.directory = directory

    def write(self, sweep: Sweep) -> None:
        """See the class. Each trial's folder is written under another name and renamed, so that what is there is whole."""
        from tensorboard.compat.proto import event_pb2
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        root = Path(self.directory) / sweep.name if self.directory else sweep.folder / "tensorboard"
        about = {"sweep/" + key: text for key, text in sweep.about.items()}
        wanted = {"sweep": [(0, self._text(about))], **{str(trial.number): self._events(trial) for trial in sweep.trials}}
        for name, events in wanted.items():
            if (root / name).exists():
                continue
            with whole(root, name) as part:
                writer = EventFileWriter(str(part))
                for step, summary in events:
                    writer.add_event(event_pb2.Event(wall_time=time.time(), step=step, summary=summary))
                writer.close()

    def _events(self, trial: Trial) -> list[tuple[int, Any]]:
        from tensorboard.compat.proto.summary_pb2 import Summary

        scalars = [
            (step, Summary(value=[Summary.Value(tag=name, simple_value=value) for name, value in sorted(row.items())]))
            for step, row in sorted(trial.curve.items())
        ]
        final = [Summary.Value(tag=f"trial/{name}", simple_value=value) for name, value in trial.values.items()]
        texts = {"trial/state": trial.state, **({"trial/reason": secrets.line(trial.reason)} if trial.reason else {})}
        return [(0, self._session(trial)), *scalars, (0, Summary(value=final)), (0, self._text(texts))]

    def _text(self, texts: Mapping[str, str]) -> Any:
        from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
        from tensorboard.compat.proto.tensor_pb2 import TensorProto
        from tensorboard.compat.proto.types_pb2 import DT_STRING

        metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text"))
        values = []
        for tag, text in texts.items():
            tensor = TensorProto(dtype=DT_STRING, string_val=[text.encode()])
            values.append(Summary.Value(tag=tag, metadata=metadata, tensor=tensor))
        return Summary(value=values)

    def _session(self, trial: Trial) -> Any:
        """The trial's parameters as the HPARAMS page reads them."""
        from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
        from tensorboard.plugins.hparams import metadata
        from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionStartInfo

        info = SessionStartInfo(group_name=str(trial.number))
        for key, text in trial.params.items():
            value = number(text)
            if value is not None and math.isfinite(value):
                info.hparams[key].number_value = value
            else:
                info.hparams[key].string_value = text
        data = HParamsPluginData(session_start_info=info, version=metadata.PLUGIN_DATA_VERSION)
        plugin = SummaryMetadata.PluginData(plugin_name=metadata.PLUGIN_NAME, content=data.SerializeToString())
        tag = metadata.SESSION_START_INFO_TAG
        return Summary(value=[Summary.Value(tag=tag, metadata=SummaryMetadata(plugin_data=plugin), tensor=metadata.NULL_TENSOR)])


class MLflow(Tracker):
    """Runs of an experiment. `tracking_uri`: null is MLflow's own, MLFLOW_TRACKING_URI or ./mlflow.db; `experiment`: null is `trivet`."""

    library = "mlflow"

    def __init__(self, tracking_uri: str | None = None, experiment: str | None = None) -> None:
        super().__init__()
        self.tracking_uri, self.experiment = tracking_uri, experiment or "trivet"

    def write(self, sweep: Sweep) -> None:
        """See the class. A trial's run that was not finished, as its writer was killed, is deleted and written anew."""
        from mlflow import MlflowClient

        client = MlflowClient(self.tracking_uri)
        found = client.get_experiment_by_name(self.experiment)
        experiment = found.experiment_id if found else client.create_experiment(self.experiment)
        own = [f"tags.`trivet.study` = '{_quoted(sweep.name)}'", "tags.`trivet.trial` = 'all'"]
        parents = client.search_runs([experiment], " and ".join(own))
        if parents:
            parent = parents[0].info.run_id
        else:
            tags = {"trivet.study": sweep.name, "trivet.trial": "all"}
            parent = client.create_run(experiment, tags=tags, run_name=sweep.name).info.run_id
            _log(client, parent, {}, sweep.about, {})
        done = self._done(client, experiment, parent)
        for trial in sweep.trials:
            if trial.number not in done:
                self._child(client, experiment, parent, sweep, trial)
        client.set_terminated(parent, "FINISHED")

    def _done(self, client: Any, experiment: str, parent: str) -> set[int]:
        """Numbers of the trials that are tracked whole."""
        numbers, token = set(), None
        while True:
            page = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{parent}'", page_token=token)
            for run in page:
                if run.info.status == "RUNNING":
                    client.delete_run(run.info.run_id)
                else:
                    numbers.add(int(run.data.tags["trivet.trial"]))
            token = page.token
            if not token:
                return numbers

    def _child(self, client: Any, experiment: str, parent: str, sweep: Sweep, trial: Trial) -> None:
        tags = {"mlflow.parentRunId": parent, "trivet.study": sweep.name, "trivet.trial": str(trial.number), "trivet.state": trial.state}
        tags |= {"trivet.reason": secrets.line(trial.reason)} if trial.reason else {}
        run = client.create_run(experiment, tags=tags, run_name=f"{sweep.name} trial {trial.number}").info.run_id
        _log(
            client,
            run,
            trial.params,
            {},
            {**trial.curve, max(trial.curve, default=0) + 1: {f"trial/{k}": v for k, v in trial.values.items()}},
        )
        client.set_terminated(run, {"COMPLETE": "FINISHED", "PRUNED": "KILLED"}.get(trial.state, "FAILED"))


def _log(client: Any, run: str, params: Mapping[str, str], tags: Mapping[str, str], curve: Mapping[int, Mapping[str, float]]) -> None:
    """In batches of the sizes that MLflow takes, names in the characters that it knows."""
    from mlflow.entities import Metric, Param, RunTag

    now = int(time.time() * 1000)
    metrics = [Metric(_name(key), value, now, step) for step, row in sorted(curve.items()) for key, value in row.items()]
    given = [Param(_name(key), text[:6000]) for key, text in params.items()]
    for batch in _batches(given, 100):
        client.log_batch(run, params=batch)
    for batch in _batches(metrics, 1000):
        client.log_batch(run, metrics=batch)
    client.log_batch(run, tags=[RunTag(f"trivet.{key}", text[:5000]) for key, text in tags.items()])


def _batches(items: Sequence[Any], size: int) -> list[list[Any]]:
    return [list(items[i : i + size]) for i in range(0, len(items), size)]


def _name(text: str) -> str:
    return re.sub(r"[^\w.\-/ ]", "_", text)


def _quoted(text: str) -> str:
    return text.replace("'", "\\'")


TRACKERS: dict[str, type[Tracker]] = {"tensorboard": TensorBoard, "mlflow": MLflow, "wandb": WandB, "dvclive": DVCLive}


def main(words: Sequence[str] | None = None) -> None:
    """Track sweeps that are over: a tracker's name and their folders. Raises `UserError`."""
    given = list(sys.argv[1:] if words is None else words)
    if len(given) < 2 or given[0] not in TRACKERS:
        raise UserError(f"give a tracker ({', '.join(TRACKERS)}) and sweeps' folders, not {' '.join(given) or 'nothing'}")
    tracker = TRACKERS[given[0]]()
    for folder in given[1:]:
        tracker.write(read(Path(folder)))


if __name__ == "__main__":
    sys.exit(exit_code(main))
