"""What all tests share: the toy course, which the tests of the grader and those of the tools use."""

pytest_plugins = ["autograder.tests.toy_course"]
