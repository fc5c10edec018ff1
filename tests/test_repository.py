"""Files of config are read once for all configs, which stay those that Hydra composes."""

from collections import Counter

import pytest
from hydra.types import RunMode
from hydra_apps import app, write
from omegaconf import OmegaConf

from trivet.sweep.repository import reading_once

FILES = {
    "conf/config.yaml": "defaults: [opt: sgd, override hydra/sweeper: trivet, _self_]\nlr: ${opt.lr}\n",
    "conf/opt/sgd.yaml": "lr: 1\nspace: {lr: '1,2'}\n",
    "conf/opt/adam.yaml": "# @package _global_\nopt: {lr: 2}\nmore: {a: [1]}\n",
    "other/opt/far.yaml": "lr: 3\n",
}


def test_configs_are_hydras_and_each_file_is_read_once(tmp_path, monkeypatch):
    write(tmp_path, FILES)
    with app(tmp_path / "conf") as (context, _):
        kept = reading_once(context.config_loader)
        read, source = Counter(), type(kept.repository.sources[1])  # the app's folder
        load = source.load_config
        monkeypatch.setattr(source, "load_config", lambda self, config_path: (read.update([config_path]), load(self, config_path))[1])
        tried = (["opt=adam"], ["opt=sgd", "lr=5"], ["opt=adam", "+new=1"], ["opt=adam"])
        composed = [kept.load_configuration("config", overrides, RunMode.RUN) for overrides in tried]
        assert read == {"config": 1, "opt/sgd": 1, "opt/adam": 1}
        for overrides, config in zip(tried, composed, strict=True):
            hydras = context.config_loader.load_configuration("config", overrides, RunMode.RUN)
            assert OmegaConf.to_container(config) == OmegaConf.to_container(hydras)
            assert OmegaConf.get_type(config.hydra) == OmegaConf.get_type(hydras.hydra) and OmegaConf.is_struct(config)


def test_another_search_path_holds_for_its_own_configs(tmp_path):
    write(tmp_path, FILES)
    with app(tmp_path / "conf") as (context, _):
        kept = reading_once(context.config_loader)
        for _ in range(2):
            far = kept.load_configuration("config", [f"hydra.searchpath=[{tmp_path / 'other'}]", "opt=far"], RunMode.RUN)
            assert far.lr == 3
            with pytest.raises(Exception, match="opt/far"):
                kept.load_configuration("config", ["opt=far"], RunMode.RUN)
