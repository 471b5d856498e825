"""What all tests share: the toy course, and which tests stay together on one worker of pytest-xdist."""

import re

import pytest

pytest_plugins = ["autograder.tests.toy_course", "tools.tests.resumable"]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log):
    """Give whole groups of tests to a worker: their fixtures take seconds (a warm server, a course with golden values).

    The groups of `--dist loadgroup` do nothing with pytest 9.2, whose node ids cannot be changed.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    return ByGroup(config, log)


def group_of(nodeid: str) -> str:
    """The assignment of a test that has one as its first parameter, and otherwise its file."""
    file, _, test = nodeid.partition("::")
    assignment = re.search(r"\[(a\d\d)[]-]", test)
    return f"{file}::{assignment[1]}" if assignment else file
