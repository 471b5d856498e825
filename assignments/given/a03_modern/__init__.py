"""The modern transformer of a03. PyTorch does the work. Names, shapes and state-dict keys are those of the assignment.

Later assignments build on it. You may read it: it shows what the library offers, and not how the work is done.
"""
