"""The order of the tests: files whose tests take long come first, so that parallel runs do not end with one of them alone."""


def pytest_collection_modifyitems(items):
    slow = {}
    for item in items:
        slow[item.path] = slow.get(item.path, 0) + (item.get_closest_marker("slow") is not None)
    items.sort(key=lambda item: (item.path.name != "test_pipeline.py", slow[item.path] == 0))
