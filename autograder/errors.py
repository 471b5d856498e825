"""The exceptions that end a command, each with its exit status.

CourseError
├── BadInput     2  wrong usage or wrong input
└── GraderFault  3  something of the grader is wrong
"""


class CourseError(Exception):
    """An error that ends a command with a sentence and without a traceback. status: the exit status."""

    status = 1


class BadInput(CourseError):
    """Wrong usage or wrong input. The sentence says what was given, what was expected and what to do."""

    status = 2


class GraderFault(CourseError):
    """Something of the grader is wrong. It never costs a student points."""

    status = 3
