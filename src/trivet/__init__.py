"""Trivet: hyperparameter search for any Hydra app, and a three-phase tuning pipeline for PyTorch built on it."""

from trivet.errors import UserError
from trivet.reports import Diverged, TrialPruned, report, resume_dir, start_from
from trivet.suggested import trial

__version__ = "0.1.0"
__all__ = ["Diverged", "TrialPruned", "UserError", "__version__", "report", "resume_dir", "start_from", "trial"]
