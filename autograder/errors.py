"""The exceptions that end a command, each with its exit status.

CourseError
├── BadInput     2  wrong usage or input: what was given, what was expected, what to do
└── GraderFault  3  something of the grader's own is wrong; never the student's loss
"""


class CourseError(Exception):
    status = 1


class BadInput(CourseError):
    status = 2


class GraderFault(CourseError):
    status = 3
