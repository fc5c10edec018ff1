"""The order of the tests, and the sweep that others are compared with."""

import fcntl
import gc
import os
import sys

import pytest
from absl import logging as absl_logging
from apps.running import run_all

# Keras and TensorBoard bring absl, whose log handler keeps the stderr of its import, which in a test is pytest's, and closes it when Hydra
# sets logging up: from then on every test of this process would fail. The process's own stderr it leaves open.
absl_logging.get_absl_handler().python_handler.setStream(sys.__stderr__)

# What collecting makes (some 800,000 objects) stays to the end. The collector of garbage, which would go through all of it again and again,
# stands still meanwhile, looks at none of it afterwards, and comes more rarely.
gc.disable()


def pytest_collection_finish():
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    gc.enable()


def pytest_collection_modifyitems(items):
    """Files whose tests take long come first, so that parallel runs do not end with one of them alone."""
    slow = {}
    for item in items:
        slow[item.path] = slow.get(item.path, 0) + (item.get_closest_marker("slow") is not None)
    items.sort(key=lambda item: (item.path.name != "test_pipeline.py", slow[item.path] == 0))


def pytest_make_parametrize_id(val, argname):
    """Binary content is named by its argument: compressors write the time into it, so each process would know the test by another name."""
    return argname if isinstance(val, bytes) and not (val.isascii() and val.decode().isprintable()) else None


@pytest.fixture(scope="module")
def undisturbed(request, tmp_path_factory):
    """The folder of the sweep of checkpointing.py with the module's ARGUMENTS, in one process that nobody disturbs."""
    base = tmp_path_factory.mktemp("undisturbed")
    [ended] = run_all("checkpointing.py", [(base, request.module.ARGUMENTS)], cwd=base)
    assert ended.code == 0, ended.text
    return base / "sweep"


@pytest.fixture(scope="session")
def reported(tmp_path_factory):
    """The root of a run of the pipeline with its report under reports/, figures drawn: built once for all tests that look at it.

    Parallel processes of the tests share it, so nothing in it may be changed.
    """
    import fake_results

    from trivet.reporting.build import build_pipeline  # pandas and matplotlib take seconds to import, which most test files need not pay

    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    root, whole = shared / "reported", shared / "reported.done"
    with (shared / "reported.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not whole.exists():
            root.mkdir()
            build_pipeline(fake_results.results(root, n_coarse=60, n_fine=30), root / "reports")
            whole.touch()
    return root
