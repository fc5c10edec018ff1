"""Code written for Optuna in a Hydra app: the same as `trivet.trial`, under the name that it has beside the other integrations.

from trivet.integrations.optuna import trial
"""

from trivet.suggested import ConfigTrial, trial

__all__ = ["ConfigTrial", "trial"]
