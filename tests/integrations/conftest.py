"""Reports that a test hears, and a study that stops a trial at a step of its choice."""

import os

import pytest

import trivet
from trivet.reports import set_reporter

os.environ.setdefault("KERAS_BACKEND", "torch")  # read when keras is imported


class Heard:
    """Stands behind `trivet.report`: `rows` are (step, value, metrics); prunes from step `prune_at` on."""

    def __init__(self):
        self.rows = []
        self.prune_at = None

    def report(self, value, step, metrics):
        self.rows.append((step, value, dict(metrics)))
        if self.prune_at is not None and step >= self.prune_at:
            raise trivet.TrialPruned(f"at step {step}")

    @property
    def steps(self):
        return [step for step, _, _ in self.rows]


@pytest.fixture
def heard():
    reporter = Heard()
    set_reporter(reporter)
    yield reporter
    set_reporter(None)
