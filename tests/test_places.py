"""Where a sweep and its trials live: interpolations in hydra.sweep.dir, times, subdir and chdir."""

from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig
from hydra_apps import app, write
from omegaconf import OmegaConf

import trivet
from trivet.errors import UserError
from trivet.sweep.places import sweep_folder

CONF = """
log_dir: logs
paths: {root: "${oc.env:HERE,/here}", logs: "${paths.root}/logs"}
day: ${now:%Y-%m-%d}
task: train
"""


@pytest.mark.parametrize(
    ("dir", "expected", "named"),
    [
        ("sweeps/fixed", "sweeps/fixed", False),
        ("/abs/fixed", "/abs/fixed", False),
        ("${log_dir}", "logs", False),
        ("${log_dir}/${task}", "logs/train", False),
        ("${now:%Y}", "./NAME", True),
        ("sweeps/${now:%Y-%m-%d}/${now:%H-%M-%S}", "sweeps/NAME", True),
        ("${log_dir}/${now:%Y-%m-%d}_${now:%H-%M-%S}", "logs/NAME", True),
        ("${paths.logs}/${task}/multiruns/${now:%Y}", "/here/logs/train/multiruns/NAME", True),
        ("${log_dir}/run-${day}/more", "logs/NAME", True),
        ("${oc.env:NOT_SET,fall}/back", "fall/back", False),
    ],
)
def test_all_but_the_time_is_resolved(tmp_path, dir, expected, named):
    write(tmp_path, {"config.yaml": CONF})
    with app(tmp_path, [f"hydra.sweep.dir='{dir}'"]) as (_, config):
        before = config.day
        assert sweep_folder(config, "NAME") == (Path(expected), named)
        assert config.day == before and OmegaConf.create({"x": "${now:%Y}"}).x.isdecimal(), "the resolver is what it was"


def test_what_cannot_be_resolved_is_one_line(tmp_path):
    write(tmp_path, {"config.yaml": CONF})
    said = r"hydra\.sweep\.dir=\$\{oc\.env:SURELY_NOT_SET\}/x: .*SURELY_NOT_SET.*; name a folder"
    with app(tmp_path, ["hydra.sweep.dir=${oc.env:SURELY_NOT_SET}/x"]) as (_, config), pytest.raises(UserError, match=said):
        sweep_folder(config, "NAME")


@pytest.mark.parametrize("subdir", ["${hydra:job.num}", "${hydra:job.override_dirname}/${now:%f}"])
@pytest.mark.parametrize("chdir", [False, True])
def test_a_trials_folder_is_its_number_in_the_sweeps(tmp_path, monkeypatch, subdir, chdir):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "conf", {"config.yaml": CONF})
    with app(tmp_path / "conf", [f"hydra.sweep.subdir='{subdir}'", f"hydra.job.chdir={chdir}"]) as (_, config):
        with_number = config.copy()
        OmegaConf.set_readonly(with_number.hydra, False)
        OmegaConf.set_struct(with_number, False)
        with_number.hydra.job.num, with_number.hydra.sweep.dir = 7, "logs/study"
        HydraConfig.instance().cfg = with_number
        monkeypatch.setattr("hydra.utils.get_original_cwd", lambda: str(tmp_path))
        assert trivet.resume_dir() == tmp_path / "logs/study/7" and (tmp_path / "logs/study/7").is_dir()


def test_outside_a_sweep(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)
    assert trivet.resume_dir() == tmp_path
