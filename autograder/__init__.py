"""The grader: checks observe a solution in a process of its own, judges compare what was seen, a report explains."""

__version__ = "0.1.0"
