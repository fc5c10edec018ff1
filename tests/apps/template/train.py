"""A Lightning app as public templates have them: data, model, callbacks, loggers and trainer come from the config."""

import hydra
import lightning.pytorch as pl
from hydra.utils import instantiate

import trivet


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(cfg):
    pl.seed_everything(cfg.seed, workers=True, verbose=False)
    callbacks = [instantiate(node) for node in cfg.callbacks.values()]
    loggers = [instantiate(node) for node in (cfg.logger or {}).values()]
    trainer = instantiate(cfg.trainer, callbacks=callbacks, logger=loggers)
    last = trivet.resume_dir() / "checkpoints/last.ckpt"
    trainer.fit(instantiate(cfg.model), datamodule=instantiate(cfg.data), ckpt_path=last if last.exists() else None)
    return trainer.callback_metrics[cfg.optimized_metric].item()


if __name__ == "__main__":
    main()
