"""An app as those written for hydra-optuna-sweeper are: it knows nothing of trivet.

python stock.py -m
"""

import hydra


def configure(cfg, trial):
    """A custom search space: z lies near x, and w is new."""
    x = trial.params["x"]
    trial.suggest_float("z", x - cfg.max_z_difference_from_x, x + cfg.max_z_difference_from_x)
    trial.suggest_float("+w", 0.0, 1.0)


@hydra.main(version_base=None, config_path="stock", config_name="config")
def main(cfg):
    if cfg.objectives == 2:  # Binh and Korn
        return 4 * cfg.x**2 + 4 * cfg.y**2, (cfg.x - 5) ** 2 + (cfg.y - 5) ** 2
    return cfg.x**2 + cfg.y**2 + cfg.get("w", 0)


if __name__ == "__main__":
    main()
