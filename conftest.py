"""What all tests share: the toy course, which grader and tools are tested on, and what runs on one core in one piece."""

import pytest

pytest_plugins = ["autograder.tests.toy_course"]


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(config, items) -> None:
    """Keep the tests of an assignment on one worker of pytest-xdist, and those of any other file.

    They share fixtures that take seconds: a course with golden values, a warm server.
    """
    if config.pluginmanager.hasplugin("xdist"):
        for item in items:
            if item.get_closest_marker("xdist_group") is None:
                item.add_marker(pytest.mark.xdist_group(_group(item)))


def _group(item: pytest.Item) -> str:
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    assignment = parameters.get("assignment")
    return getattr(assignment, "id", None) or item.nodeid.partition("::")[0]
