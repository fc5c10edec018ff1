"""The order of the tests, and the sweep that others are compared with."""

import pytest
from apps.running import run_all


def pytest_collection_modifyitems(items):
    """Files whose tests take long come first, so that parallel runs do not end with one of them alone."""
    slow = {}
    for item in items:
        slow[item.path] = slow.get(item.path, 0) + (item.get_closest_marker("slow") is not None)
    items.sort(key=lambda item: (item.path.name != "test_pipeline.py", slow[item.path] == 0))


@pytest.fixture(scope="module")
def undisturbed(request, tmp_path_factory):
    """The folder of the sweep of checkpointing.py with the module's ARGUMENTS, in one process that nobody disturbs."""
    base = tmp_path_factory.mktemp("undisturbed")
    [ended] = run_all("checkpointing.py", [(base, request.module.ARGUMENTS)], cwd=base)
    assert ended.code == 0, ended.text
    return base / "sweep"
