"""Trackers after real sweeps in this process: what they hold, that tables and identity do not change, and what goes wrong."""

import dataclasses
import json
import shutil
import struct
import sys
from pathlib import Path

import hydra_apps
import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

import trivet
from trivet.errors import UserError
from trivet.integrations import trackers

ROOT = Path(__file__).parents[2]
CONFIG = "defaults:\n  - _self_\n  - logger: null\nx: 0.5\nkind: plain\n"
LOGGER = "# @package hydra.callbacks\ntracker:\n  _target_: trivet.integrations.trackers.TensorBoard\n"
SPACE = ("x=interval(0,1)", "kind=choice(plain,'a b')", "hydra.sweeper.direction=maximize", "hydra.sweeper.metric=val/acc")
N_TRIALS = 5


def train(cfg):
    """Diverges where x is small; x after one step, half of it more after two."""
    if cfg.x < 0.2:
        raise trivet.Diverged("x is small")
    for step in (1, 2):
        trivet.report(cfg.x * step / 2, step, {"train/loss": 1 / step})
    return cfg.x


def run(root, folder, *overrides):
    """The sweep with more overrides; its folder. Trackers are imported by the tests alone: the sweep's worker imports this file."""
    conf = hydra_apps.write(root / "conf", {"config.yaml": CONFIG, "logger/tensorboard.yaml": LOGGER})
    words = [*SPACE, f"hydra.sweeper.n_trials={N_TRIALS}", f"hydra.sweep.dir={root / folder}", "hydra.sweeper.max_failure_rate=1.0"]
    hydra_apps.sweep(conf, train, [*words, *overrides])
    return root / folder


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A sweep's folder without a tracker."""
    root = tmp_path_factory.mktemp("plain")
    return run(root, "s")


@pytest.fixture
def over(plain, tmp_path):
    """A copy of it, to track."""
    return Path(shutil.copytree(plain, tmp_path / "over"))


def fixed_part(folder):
    """What must not depend on a tracker: identity, curves, and the table up to what varies."""
    rows = [row.split(",")[:8] for row in (folder / "trials.csv").read_text().splitlines()]
    return yaml.safe_load((folder / "study.yaml").read_text())["fingerprint"], rows, (folder / "curves.csv").read_text()


def test_a_tracker_changes_neither_tables_nor_identity(plain, tmp_path):
    tracked = run(tmp_path, "tracked", "logger=tensorboard")
    assert fixed_part(plain) == fixed_part(tracked)
    assert (tracked / "tensorboard/0").is_dir() and not (plain / "tensorboard").exists()


def test_a_tracker_that_fails_warns_and_the_sweep_stands(tmp_path, capsys):
    (tmp_path / "taken").write_text("a file where the folder should be")
    target = "+hydra.callbacks.tracker._target_=trivet.integrations.trackers.TensorBoard"
    folder = run(tmp_path, "s", target, f"+hydra.callbacks.tracker.directory={tmp_path / 'taken'}")
    assert (folder / "best.yaml").is_file()
    told = capsys.readouterr().out
    assert "tracker TensorBoard: " in told and "was not tracked whole" in told


def events(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder))
    found.Reload()
    return found


def test_tensorboard_holds_parameters_curves_state_and_reason(over):
    from tensorboard.plugins.hparams.metadata import SESSION_START_INFO_TAG
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    sweep = trackers.read(over)
    assert {trial.state for trial in sweep.trials} == {"COMPLETE", "FAIL"}, "the sweep should hold both"
    trackers.TensorBoard().write(sweep)
    for trial in sweep.trials:
        found = events(over / "tensorboard" / str(trial.number))
        assert found.Tensors("trial/state")[0].tensor_proto.string_val[0].decode() == trial.state
        plugin = found.SummaryMetadata(SESSION_START_INFO_TAG).plugin_data.content
        given = HParamsPluginData.FromString(plugin).session_start_info.hparams
        assert given["x"].number_value == float(trial.params["x"]) and given["kind"].string_value == trial.params["kind"]
        if trial.state == "FAIL":
            assert "x is small" in found.Tensors("trial/reason")[0].tensor_proto.string_val[0].decode()
        else:
            steps = {point.step: point.value for point in found.Scalars("train/loss")}
            assert steps == {1: 1.0, 2: 0.5}
            assert found.Scalars("trial/value")[0].value == pytest.approx(trial.values["value"])
    assert b"name" in events(over / "tensorboard/sweep").Tensors("sweep/sampler")[0].tensor_proto.string_val[0]


def test_mlflow_holds_a_parent_and_children_and_a_continued_sweep_adds_to_them(over, tmp_path):
    import mlflow

    uri, table = f"sqlite:///{tmp_path / 'm.db'}", over / "trials.csv"
    whole = table.read_text()
    table.write_text("".join(whole.splitlines(keepends=True)[:-2]))
    trackers.MLflow(uri).write(trackers.read(over))
    client = mlflow.MlflowClient(uri)
    experiment = client.get_experiment_by_name("trivet").experiment_id

    def runs():
        found = client.search_runs([experiment])
        return {run.data.tags["trivet.trial"]: run for run in found}, len(found)

    first, n = runs()
    assert n == N_TRIALS - 1 and set(first) == {"all", *map(str, range(N_TRIALS - 2))}
    parent, half = first["all"], first["0"].info.run_id
    assert parent.info.run_name == trackers.read(over).name and parent.data.tags["trivet.metric"] == "val/acc"

    table.write_text(whole)
    client.update_run(half, status="RUNNING")  # as a writer that was killed leaves it
    trackers.MLflow(uri).write(trackers.read(over))
    second, n = runs()
    assert n == N_TRIALS + 1 and second["0"].info.run_id != half
    assert all(second[name].info.run_id == first[name].info.run_id for name in first if name != "0")
    for trial in trackers.read(over).trials:
        run = second[str(trial.number)]
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id and run.data.params == trial.params
        assert run.data.tags["trivet.state"] == trial.state
        assert ("x is small" in run.data.tags.get("trivet.reason", "")) == (trial.state == "FAIL") == (run.info.status == "FAILED")
        if trial.state == "COMPLETE":
            assert run.data.metrics["trial/value"] == trial.values["value"]
            points = client.get_metric_history(run.info.run_id, "value")
            assert [(point.step, point.value) for point in points] == [(step, row["value"]) for step, row in trial.curve.items()]


def logged(content, block=32768):
    """The records of a log in LevelDB's format behind a header of seven bytes: checksum, length, kind (whole, first, ..., last)."""
    place, parts = 7, []
    while place + 7 <= len(content):
        if block - place % block < 7:
            place += block - place % block
            continue
        length, kind = struct.unpack("<HB", content[place + 4 : place + 7])
        parts.append(content[place + 7 : place + 7 + length])
        place += 7 + length
        if kind in (1, 4):
            yield b"".join(parts)
            parts = []


def offline(folder):
    """Everything that an offline run of wandb holds: its config, its history by step, its summary, exit code and group."""
    from wandb.proto import wandb_internal_pb2

    found = {"config": {}, "history": {}, "summary": {}}
    for data in logged(next(folder.glob("*.wandb")).read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        if record.HasField("run"):
            found |= {"group": record.run.run_group, "kind": record.run.job_type, "name": record.run.display_name}
            found["config"] |= {item.key: json.loads(item.value_json) for item in record.run.config.update}
        if record.HasField("history"):
            row = {".".join(item.nested_key) or item.key: json.loads(item.value_json) for item in record.history.item}
            found["history"][record.history.step.num] = row
        if record.HasField("summary"):
            found["summary"] |= {".".join(item.nested_key) or item.key: json.loads(item.value_json) for item in record.summary.update}
        if record.HasField("exit"):
            found["exit"] = record.exit.exit_code
    return found


def short(over):
    """The sweep with one trial of each state: wandb takes half a second for each run."""
    sweep = trackers.read(over)
    by_state = {trial.state: trial for trial in sweep.trials}
    return dataclasses.replace(sweep, trials=list(by_state.values()))


def test_wandb_holds_a_group_of_offline_runs_and_a_continued_sweep_adds_to_them(over, tmp_path):
    sweep = short(over)
    assert {trial.state for trial in sweep.trials} == {"COMPLETE", "FAIL"}
    tracker = trackers.WandB(directory=str(tmp_path))
    tracker.write(dataclasses.replace(sweep, trials=sweep.trials[:1]))
    before = {path.name for path in (tmp_path / "wandb").glob("offline-run-*")}
    half = next(path for path in (tmp_path / "wandb").glob("offline-run-*") if offline(path)["kind"] == "trial")
    (half / "trivet-whole").unlink()  # as a writer that was killed leaves it
    tracker.write(sweep)
    runs = {run["name"]: run for run in map(offline, (tmp_path / "wandb").glob("offline-run-*"))}
    assert len(runs) == len(list((tmp_path / "wandb").glob("offline-run-*"))) == 1 + len(sweep.trials) and len(before) == 2
    assert {run["group"] for run in runs.values()} == {sweep.name} and runs[sweep.name]["kind"] == "sweep"
    assert runs[sweep.name]["config"]["metric"] == "val/acc"
    for trial in sweep.trials:
        run = runs[f"{sweep.name} trial {trial.number}"]
        assert {key: run["config"][key] for key in trial.params} == trial.params and run["exit"] == (trial.state == "FAIL")
        assert run["summary"]["trial/state"] == trial.state and ("x is small" in run["summary"].get("trial/reason", "")) == run["exit"]
        shown = {step: {key: row[key] for key in trial.curve[step]} for step, row in run["history"].items()}
        assert shown == trial.curve


def test_dvclive_holds_a_folder_for_each_trial(over, tmp_path):
    sweep, tracker = short(over), trackers.DVCLive(str(tmp_path))
    (tmp_path / sweep.name / f".{sweep.trials[0].number}").mkdir(parents=True)  # as a writer that was killed leaves it
    tracker.write(sweep)
    tracker.write(sweep)
    root = tmp_path / sweep.name
    assert {path.name for path in root.iterdir()} == {"sweep", *(str(trial.number) for trial in sweep.trials)}
    assert yaml.safe_load((root / "sweep/params.yaml").read_text())["metric"] == "val/acc"
    for trial in sweep.trials:
        folder = root / str(trial.number)
        assert {key: str(value) for key, value in yaml.safe_load((folder / "params.yaml").read_text()).items()} == trial.params
        metrics = json.loads((folder / "metrics.json").read_text())
        assert metrics["trial/state"] == trial.state and ("x is small" in metrics.get("trial/reason", "")) == (trial.state == "FAIL")
        if trial.curve:
            rows = (folder / "plots/metrics/train/loss.tsv").read_text().split()
            assert rows == ["step", "loss", *(str(cell) for step, row in trial.curve.items() for cell in (step, row["train/loss"]))]


def test_a_sweep_that_is_over(over):
    def files():
        return {path: path.stat().st_mtime_ns for path in (over / "tensorboard").rglob("*")}

    trackers.main(["tensorboard", str(over)])
    before = files()
    trackers.main(["tensorboard", str(over)])
    assert before == files() and len(list((over / "tensorboard").iterdir())) == N_TRIALS + 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give a tracker (tensorboard, mlflow, wandb, dvclive) and sweeps' folders, not nothing"),
        (["mlflow"], "not mlflow"),
        (["neptune", "s"], "not neptune s"),
        (["tensorboard", "none"], "none: holds no tables of a sweep"),
    ],
)
def test_what_is_wrong_is_one_line(words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as caught:
        trackers.main(words)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_library_is_told_before_anything_starts(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(UserError, match=r"tracker mlflow: needs mlflow; pip install 'trivet\[mlflow\]'"):
        trackers.MLflow()


@pytest.mark.parametrize("option", sorted(path.stem for path in (ROOT / "conf/logger").glob("*.yaml")))
def test_every_option_of_our_trainer_is_a_tracker_with_its_extra(option):
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("config", ["hparams=search", f"logger={option}"], return_hydra_config=True)
    assert type(instantiate(config.hydra.callbacks.tracker)) is trackers.TRACKERS[option]
    assert "callbacks" not in config
    assert f"\n{option} = [" in (ROOT / "pyproject.toml").read_text()
