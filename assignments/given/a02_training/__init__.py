"""The training tools of a02, built from PyTorch's own functions. Names, arguments and errors are those of the assignment.

Later assignments build on it. You may read it: it shows what the library offers, and not how that is done.
"""
